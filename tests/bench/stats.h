/* SPDX-License-Identifier: Apache-2.0 */
/* What the benchmarks say of their rounds. */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stdlib.h>

#define MAX_ROUNDS	101

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline double median(double *v, unsigned int n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* Median of a[i] / b[i]: rounds that ran side by side are compared, not the best of times with the worst. */
static inline double median_ratio(const double *a, const double *b, unsigned int n)
{
	double v[MAX_ROUNDS];
	unsigned int i;

	for (i = 0; i < n; i++)
		v[i] = a[i] / b[i];
	return median(v, n);
}

#endif
