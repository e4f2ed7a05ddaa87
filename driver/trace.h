/* SPDX-License-Identifier: GPL-2.0-or-later */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hsm

#if !defined(HSM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define HSM_TRACE_H

#include <linux/tracepoint.h>
#include "card.h"
#include "cmd.h"
#include "qp.h"

/* A command on its way to or from a queue pair. */
DECLARE_EVENT_CLASS(hsm_cmd_on_qp,
	TP_PROTO(const struct hsm_qp *qp, const struct hsm_cmd *cmd),
	TP_ARGS(qp, cmd),
	TP_STRUCT__entry(
		__field(u32, card)
		__field(u16, qid)
		__field(u16, cid)
		__field(u8, opcode)
		__field(u8, moves)
		__field(u32, in_len)
		__field(u32, out_len)
	),
	TP_fast_assign(
		__entry->card = qp->card->id;
		__entry->qid = qp->qid;
		__entry->cid = cmd->cid;
		__entry->opcode = cmd->opcode;
		__entry->moves = cmd->moves;
		__entry->in_len = cmd->in_len;
		__entry->out_len = cmd->out_len;
	),
	TP_printk("card%u qp %u cid %u opcode %#x in %u out %u moves %u",
		  __entry->card, __entry->qid, __entry->cid, __entry->opcode,
		  __entry->in_len, __entry->out_len, __entry->moves)
);

DEFINE_EVENT(hsm_cmd_on_qp, hsm_submit,
	TP_PROTO(const struct hsm_qp *qp, const struct hsm_cmd *cmd),
	TP_ARGS(qp, cmd));

/* The caller got -ETIME; the card still has the command. */
DEFINE_EVENT(hsm_cmd_on_qp, hsm_timeout,
	TP_PROTO(const struct hsm_qp *qp, const struct hsm_cmd *cmd),
	TP_ARGS(qp, cmd));

/* The card was lost with the command on this queue pair; it goes to another. */
DEFINE_EVENT(hsm_cmd_on_qp, hsm_failover,
	TP_PROTO(const struct hsm_qp *qp, const struct hsm_cmd *cmd),
	TP_ARGS(qp, cmd));

TRACE_EVENT(hsm_complete,
	TP_PROTO(const struct hsm_cmd *cmd),
	TP_ARGS(cmd),
	TP_STRUCT__entry(
		__field(u16, cid)
		__field(u8, opcode)
		__field(u16, status)
		__field(int, result)
	),
	TP_fast_assign(
		__entry->cid = cmd->cid;
		__entry->opcode = cmd->opcode;
		__entry->status = cmd->status;
		__entry->result = cmd->result;
	),
	TP_printk("cid %u opcode %#x status %u result %d", __entry->cid,
		  __entry->opcode, __entry->status, __entry->result)
);

TRACE_EVENT(hsm_card_state,
	TP_PROTO(const struct hsm_card *card, u32 state),
	TP_ARGS(card, state),
	TP_STRUCT__entry(
		__field(u32, card)
		__field(u32, state)
	),
	TP_fast_assign(
		__entry->card = card->id;
		__entry->state = state;
	),
	TP_printk("card%u state %u", __entry->card, __entry->state)
);

TRACE_EVENT(hsm_route_request,
	TP_PROTO(u64 xid, u32 class, u32 len, int error),
	TP_ARGS(xid, class, len, error),
	TP_STRUCT__entry(
		__field(u64, xid)
		__field(u32, class)
		__field(u32, len)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->xid = xid;
		__entry->class = class;
		__entry->len = len;
		__entry->error = error;
	),
	TP_printk("xid %llu class %u len %u error %d", __entry->xid,
		  __entry->class, __entry->len, __entry->error)
);

/* error: 0 for the owner's reply, else the errno of a synthetic one. */
TRACE_EVENT(hsm_route_reply,
	TP_PROTO(u64 xid, u32 error),
	TP_ARGS(xid, error),
	TP_STRUCT__entry(
		__field(u64, xid)
		__field(u32, error)
	),
	TP_fast_assign(
		__entry->xid = xid;
		__entry->error = error;
	),
	TP_printk("xid %llu error %u", __entry->xid, __entry->error)
);

#endif /* HSM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
