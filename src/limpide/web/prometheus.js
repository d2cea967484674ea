// Prometheus' text format, as much of it as this server writes.

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** @typedef {{ name: string, labels: Record<string, string>, value: number }} Sample */

/**
 * @param {string} text
 * @returns {Sample[]}
 */
export function parseMetrics(text) {
  return text.split("\n").flatMap((line) => {
    const match = line.startsWith("#") ? null : SAMPLE.exec(line);
    if (!match) return [];
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value.replace(/\\(.)/g, "$1")]));
    return [{ name: match[1], labels, value: Number(match[3]) }];
  });
}

/**
 * The sum of a metric over all series whose labels are among these.
 * @param {Sample[]} samples
 * @param {string} name
 * @param {Record<string, string[]>} [among]
 */
export function total(samples, name, among = {}) {
  const fits = (/** @type {Sample} */ sample) => Object.entries(among).every(([label, values]) => values.includes(sample.labels[label]));
  return samples.filter((sample) => sample.name === name && fits(sample)).reduce((sum, sample) => sum + sample.value, 0);
}
