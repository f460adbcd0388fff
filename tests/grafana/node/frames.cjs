// Reads panels with Prometheus' answers from standard input, and writes the frames that Grafana would draw: the answers
// made into frames as Grafana's backend does, then its own code for tables, transformations, overrides and texts.
'use strict';

require('global-jsdom/register');
// jsdom has no match media, and Grafana asks for it when it is loaded.
window.matchMedia = () => ({ matches: false, addEventListener() {}, removeEventListener() {} });
require('./without_screen.cjs');

const { lastValueFrom } = require('rxjs');
const grafana = require('@grafana/data');
const { transformV2 } = require('./node_modules/@grafana/prometheus/dist/cjs/result_transformer.cjs');
const { PrometheusAnnotationSupport } = require('./node_modules/@grafana/prometheus/dist/cjs/annotations.cjs');
const { fromPrometheus } = require('./backend.cjs');
const { fieldConfigRegistry } = require('./field_config.cjs');

const theme = grafana.createTheme();
const registered = new Set();
for (const transformer of Object.values(grafana.standardTransformers)) {
  if (!registered.has(transformer.id)) {
    registered.add(transformer.id);
    grafana.standardTransformersRegistry.register({
      id: transformer.id,
      name: transformer.name,
      transformation: () => Promise.resolve(transformer),
    });
  }
}

async function drawn({ panel, answers }) {
  const frames = panel.targets.flatMap((target) => fromPrometheus(target, answers[target.refId]));
  const { data } = transformV2({ data: frames }, { targets: panel.targets }, {});
  const changes = panel.transformations ?? [];
  const changed = changes.length ? await lastValueFrom(grafana.transformDataFrame(changes, data)) : data;
  const shown = grafana.applyFieldOverrides({
    data: changed,
    fieldConfig: panel.fieldConfig,
    fieldConfigRegistry: fieldConfigRegistry(),
    replaceVariables: (text) => text,
    theme,
    timeZone: 'utc',
  });
  grafana.cacheFieldDisplayNames(shown);
  const written = shown.map((frame) => ({
    name: frame.name ?? null,
    refId: frame.refId ?? null,
    fields: frame.fields.map((field) => fieldOf(field, frame, shown)),
  }));
  return { frames: written, series: (panel.options.series ?? []).map((series) => pointsOf(series, shown)) };
}

// The points of a series of an XY chart that is mapped by hand: as Grafana does, only of numbers, and without a point
// where there is no y.
function pointsOf({ name, frame, x, y }, frames) {
  const shown = frames[frame.matcher.options];
  const numbers = shown ? shown.fields.filter((field) => field.type === grafana.FieldType.number) : [];
  const matched = (matcher) => numbers.find((field) => grafana.getFieldMatcher(matcher)(field, shown, frames));
  const [across, up] = [matched(x.matcher), matched(y.matcher)];
  const runs = shown?.fields.find((field) => field.name === 'run');
  const places = across && up ? [...up.values.keys()].filter((place) => up.values[place] != null) : [];
  const points = places.map((place) => [runs.values[place], across.values[place], up.values[place]]);
  return { name: name.fixed, points };
}

function fieldOf(field, frame, frames) {
  const values = Array.from(field.values);
  const texts = values.map((value) => field.display(value));
  return {
    name: field.name,
    title: grafana.getFieldDisplayName(field, frame, frames),
    type: field.type,
    // JSON has no undefined: what a join left open must be told from null, which Grafana draws differently.
    values: values.map((value) => (value === undefined ? { open: true } : value)),
    texts: texts.map((text) => grafana.formattedValueToString(text)),
    colours: texts.map((text) => text.color ?? null),
    colour: grafana.getFieldSeriesColor(field, theme).color,
    config: { unit: field.config.unit, mapped: (field.config.mappings ?? []).length > 0, noValue: field.config.noValue, custom: field.config.custom ?? {} },
  };
}

async function marks({ annotation, answer }) {
  const support = PrometheusAnnotationSupport({});
  const prepared = support.prepareAnnotation(annotation);
  const frames = fromPrometheus({ ...prepared.target, legendFormat: '' }, answer);
  frames[0].meta = { executedQueryString: `Step: ${prepared.target.interval}` };
  const events = await lastValueFrom(support.processEvents(prepared, frames));
  return events.map(({ time, timeEnd, title, text, tags }) => ({ time, timeEnd, title, text, tags }));
}

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const asked = JSON.parse(Buffer.concat(chunks).toString());
  const panels = await Promise.all(asked.panels.map(drawn));
  const annotations = await Promise.all(asked.annotations.map(marks));
  process.stdout.write(JSON.stringify({ panels, annotations }), () => process.exit(0));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
