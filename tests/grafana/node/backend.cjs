// Frames as Grafana's backend makes them of Prometheus' answers (pkg/promlib): one for each series, with time, value and
// labels, named by the legend; an empty one where there is no series, so that the query still counts.
'use strict';

const { FieldType } = require('@grafana/data');

function fromPrometheus(target, answer) {
  const frames = answer.result.map((series) => frameOf(target, series));
  return frames.length ? frames : [{ refId: target.refId, fields: [], length: 0, meta: {} }];
}

function frameOf(target, series) {
  const samples = series.values ?? [series.value];
  const name = target.legendFormat ? legendOf(target.legendFormat, series.metric) : nameOf(series.metric);
  const interval = target.stepMs ? { interval: target.stepMs } : {};
  return {
    refId: target.refId,
    name,
    length: samples.length,
    meta: {},
    fields: [
      { name: 'Time', type: FieldType.time, config: interval, values: samples.map(([seconds]) => seconds * 1000) },
      {
        name: 'Value',
        type: FieldType.number,
        config: { displayNameFromDS: name || target.expr },
        labels: series.metric,
        values: samples.map(([, value]) => number(value)),
      },
    ],
  };
}

// Unlike the code in the browser, the backend leaves out what a label does not say.
function legendOf(format, labels) {
  return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => labels[label] ?? '');
}

function number(text) {
  return { NaN: NaN, '+Inf': Infinity, '-Inf': -Infinity }[text] ?? Number(text);
}

function nameOf(metric) {
  const { __name__: name = '', ...labels } = metric;
  const pairs = Object.entries(labels).sort().map(([label, value]) => `${label}="${value}"`);
  return pairs.length ? `${name}{${pairs.join(', ')}}` : name;
}

module.exports = { fromPrometheus };
