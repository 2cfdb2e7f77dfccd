/** How long things took, read off the buckets of a histogram. */

/** A value of a prom-client histogram: one bucket (cumulative), sum or count of one set of labels. */
interface HistogramValue {
  readonly metricName?: string | undefined;
  readonly labels: Readonly<Partial<Record<string, string | number>>>;
  readonly value: number;
}

/** Number and times of what was observed; quantiles are the upper edge of their bucket, so never flattering. */
export interface Times {
  readonly count: number;
  readonly meanMs: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Times over all sets of labels. Above the last bucket a quantile is that bucket's edge. */
export function timesOf(values: readonly HistogramValue[]): Times {
  const upTo = new Map<number, number>();
  let [count, sumSeconds] = [0, 0];
  for (const { metricName = "", labels, value } of values) {
    const edge = Number(labels["le"]);
    if (metricName.endsWith("_count")) count += value;
    else if (metricName.endsWith("_sum")) sumSeconds += value;
    else if (Number.isFinite(edge)) upTo.set(edge, (upTo.get(edge) ?? 0) + value);
  }
  const edges = [...upTo].sort(([one], [other]) => one - other);
  const quantile = (share: number): number => {
    if (count === 0) return 0;
    const [edge] = edges.find(([, within]) => within >= share * count) ?? edges.at(-1) ?? [0];
    return edge * 1000;
  };
  return {
    count,
    meanMs: count === 0 ? 0 : round((sumSeconds * 1000) / count),
    p50Ms: quantile(0.5),
    p95Ms: quantile(0.95),
    p99Ms: quantile(0.99),
  };
}

/** How many observations there were by the value of one label. */
export function byLabel(values: readonly HistogramValue[], label: string): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { metricName = "", labels, value } of values) {
    const name = String(labels[label]);
    if (metricName.endsWith("_count")) counts[name] = (counts[name] ?? 0) + value;
  }
  return counts;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
