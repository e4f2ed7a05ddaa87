// SPDX-License-Identifier: GPL-2.0-or-later
#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include "card.h"
#include "debugfs.h"
#include "qp.h"

static struct dentry *root;

static int card_show(struct seq_file *m, void *unused)
{
	struct hsm_card *card = m->private;
	struct hsm_qp *qp;

	seq_puts(m, "qid depth state inflight    submitted    completed timeouts    doorbells   interrupts\n");
	mutex_lock(&card->lock);
	hsm_qp_show(card->admin, m);
	list_for_each_entry(qp, &card->qps, card_node)
		hsm_qp_show(qp, m);
	mutex_unlock(&card->lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(card);

void hsm_debugfs_init(void)
{
	root = debugfs_create_dir("hsm", NULL);
}

void hsm_debugfs_exit(void)
{
	debugfs_remove(root);
}

void hsm_debugfs_card_add(struct hsm_card *card)
{
	card->debugfs = debugfs_create_file(dev_name(&card->dev), 0400, root, card,
					    &card_fops);
}

void hsm_debugfs_card_del(struct hsm_card *card)
{
	debugfs_remove(card->debugfs);
}
