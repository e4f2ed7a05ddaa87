// SPDX-License-Identifier: GPL-2.0
/*
 * load SECONDS: two threads, 32 encryptions each in flight on a pool of
 * both cards, while the caller does something to a card.  Each command must be
 * answered exactly once, and at the end commands must still succeed.  Prints
 * "# running" when the load runs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "hsmlib.h"
#include "tap.h"

#define RING_FLAGS (IORING_SETUP_SQE128 | IORING_SETUP_CQE32)
#define DEPTH	32
#define THREADS	2
#define DATA	512

struct worker {
	pthread_t thread;
	unsigned long sent, done, ok, busy, other, twice, bad;
	int last_error;
};

static uint8_t token[HSM_MAX_TOKEN];
static int fd, token_len;
static uint64_t end_ms;

static void *work(void *arg)
{
	static const uint8_t data[DATA];
	struct worker *w = arg;
	unsigned char busy[DEPTH] = {}, (*out)[2048] = calloc(DEPTH, sizeof(*out)), in[2048];
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	size_t len = encrypt_input(in, token, token_len, data, DATA);
	unsigned int inflight = 0, i;

	if (ring_open(&ring, DEPTH, RING_FLAGS))
		tap_bail("ring");
	for (;;) {
		for (i = 0; i < DEPTH && now_ms() < end_ms; i++) {
			if (busy[i])
				continue;
			busy[i] = 1;
			inflight++;
			w->sent++;
			ring_exec(&ring, fd, HSM_OP_ENCRYPT, in, len, out[i], sizeof(out[i]), 0, i);
		}
		if (!inflight)
			break;
		io_uring_submit_and_wait(&ring, 1);
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			i = cqe->user_data;
			w->twice += !busy[i];
			busy[i] = 0;
			inflight--;
			w->done++;
			w->ok += cqe->res == DATA + (int)HSM_CIPHERTEXT_OVERHEAD;
			w->bad += cqe->res >= 0 && cqe->res != DATA + (int)HSM_CIPHERTEXT_OVERHEAD;
			w->busy += cqe->res == -EBUSY;
			if (cqe->res < 0 && cqe->res != -EBUSY) {
				w->other++;
				w->last_error = cqe->res;
			}
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	/* Nothing may come late. */
	usleep(200000);
	w->twice += !io_uring_peek_cqe(&ring, &cqe);
	io_uring_queue_exit(&ring);
	free(out);
	return NULL;
}

int main(int argc, char **argv)
{
	struct worker w[THREADS] = {}, sum = {};
	static struct nl nl;
	int i, seconds = argc > 1 ? atoi(argv[1]) : 2;

	if (access("/dev/hsm/card0", F_OK))
		tap_skip_all("no card");
	pool_setup(&nl, "kload", 5, "", 32, 0);
	fd = pool_open("kload");
	token_len = fd < 0 ? -1 : key_make(fd, token, sizeof(token));
	if (token_len <= 0)
		tap_bail("pool or key");
	end_ms = now_ms() + seconds * 1000;
	for (i = 0; i < THREADS; i++)
		pthread_create(&w[i].thread, NULL, work, &w[i]);
	usleep(300000);
	printf("# running\n");
	fflush(stdout);
	for (i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		sum.sent += w[i].sent;
		sum.done += w[i].done;
		sum.ok += w[i].ok;
		sum.busy += w[i].busy;
		sum.other += w[i].other;
		sum.bad += w[i].bad;
		sum.twice += w[i].twice;
		sum.last_error = w[i].last_error ?: sum.last_error;
	}
	printf("# sent %lu done %lu ok %lu busy %lu errors %lu (last %d)\n", sum.sent, sum.done,
	       sum.ok, sum.busy, sum.other, sum.last_error);
	tap_eq(sum.done, sum.sent, "every command was answered");
	tap_eq(sum.twice, 0, "none twice");
	tap_eq(sum.other, 0, "none with an error: encryption may be repeated elsewhere");
	tap_eq(sum.bad, 0, "none with a wrong length");
	tap(sum.ok > 100, "%lu succeeded", sum.ok);
	tap_eq(node_exec(fd, HSM_OP_NOP, NULL, 0, NULL, 0, 0, NULL), 0, "commands go on");
	close(fd);
	pool_teardown(&nl, "kload", 5);
	return tap_end();
}
