// What Grafana's Prometheus code imports only to draw its editors is left out: there is no screen here.
'use strict';

const Module = require('node:module');

const resolve = Module._resolveFilename;
const DRAWN = /^@grafana\/(runtime|ui|assistant|e2e-selectors)|(^|\/)(components|querybuilder)\/|^@emotion/;

Module._resolveFilename = function (request, parent, ...rest) {
  const ours = parent?.filename?.includes('@grafana/prometheus');
  return ours && DRAWN.test(request) ? require.resolve('./nothing.cjs') : resolve.call(this, request, parent, ...rest);
};
