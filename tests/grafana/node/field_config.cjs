// The registry of what overrides may set: Grafana's own, plus whatever a panel type brings under `custom.`
'use strict';

const { Registry, standardFieldConfigEditorRegistry, identityOverrideProcessor } = require('@grafana/data');

const STANDARD = [
  'displayName', 'unit', 'min', 'max', 'decimals', 'thresholds', 'mappings', 'noValue', 'links', 'color', 'description',
];
const CUSTOM = [
  'pointShape', 'fillOpacity', 'axisLabel', 'axisPlacement', 'cellOptions', 'width', 'minWidth', 'lineStyle',
  'scaleDistribution',
];

let made;

function fieldConfigRegistry() {
  if (made) return made;
  made = new Registry();
  for (const id of STANDARD) made.register(item(id, id, false));
  for (const id of CUSTOM) made.register(item(`custom.${id}`, id, true));
  return made;
}

function item(id, path, isCustom) {
  return {
    id,
    path,
    isCustom,
    name: id,
    process: identityOverrideProcessor,
    shouldApply: () => true,
    override: () => null,
    editor: () => null,
    settings: {},
  };
}

module.exports = { fieldConfigRegistry, standardFieldConfigEditorRegistry };
