// Renders /openapi.json, with nothing from elsewhere.
"use strict";

let spec = null;

const resolve = (schema) =>
  schema?.$ref ? schema.$ref.split("/").slice(1).reduce((place, key) => place[key], spec) : (schema ?? {});

function bounds(schema) {
  const found = [];
  if (schema.minimum !== undefined || schema.maximum !== undefined) {
    found.push(`${schema.minimum ?? "…"} to ${schema.maximum ?? "…"}`);
  }
  if (schema.maxLength !== undefined) found.push(`at most ${schema.maxLength} characters`);
  if (schema.pattern?.startsWith("^[^")) found.push("no control characters");
  else if (schema.pattern) found.push(schema.pattern);
  return found.length ? ` (${found.join("; ")})` : "";
}

function typeOf(schema) {
  const found = resolve(schema);
  if (found.anyOf) return found.anyOf.map(typeOf).join(" or ");
  if (found.const !== undefined) return JSON.stringify(found.const);
  if (found.enum) return found.enum.map((value) => JSON.stringify(value)).join(", ");
  if (found.type === "array") return `list of ${typeOf(found.items)}`;
  if (found.type === "object" && found.additionalProperties) return `object of ${typeOf(found.additionalProperties)}`;
  if (found.type === "object") return schema.$ref ? schema.$ref.split("/").pop() : "object";
  return `${found.type ?? "anything"}${bounds(found)}`;
}

function table(titles, rows) {
  const head = make("tr", {}, ...titles.map((title) => make("th", { scope: "col" }, title)));
  const body = rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, cell))));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...body));
}

// "`share`" in a description is code.
function prose(text) {
  return text.split("`").map((part, i) => (i % 2 ? make("code", {}, part) : part));
}

function fieldRows(schema, required = []) {
  return Object.entries(schema.properties ?? {}).map(([name, field]) => [
    make("code", {}, name),
    typeOf(field),
    make("span", {}, ...prose([required.includes(name) ? "required" : "", field.description ?? ""].filter(Boolean).join("; "))),
  ]);
}

function exampleOf(schema) {
  const found = resolve(schema);
  const names = found.required ?? Object.keys(found.properties ?? {}).slice(0, 1);
  return Object.fromEntries(names.map((name) => {
    const field = resolve(found.properties[name]);
    return [name, field.examples?.[0] ?? field.enum?.[0] ?? {}];
  }));
}

function curl(method, path, call, body) {
  const values = Object.fromEntries((call.parameters ?? []).map((p) => [p.name, (p.schema.examples ?? p.examples ?? [p.name])[0]]));
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? name);
  const verb = method === "get" ? "" : `-X ${method.toUpperCase()} `;
  const data = body && Object.keys(exampleOf(body)).length ? ` -d '${JSON.stringify(exampleOf(body))}'` : "";
  return `curl ${verb}${location.origin}${filled}${data}`;
}

function parts(method, path, call) {
  const body = call.requestBody?.content["application/json"].schema;
  const found = [make("p", {}, ...prose(call.description ?? "")), make("pre", {}, make("code", {}, curl(method, path, call, body)))];
  if (call.parameters?.length) {
    const rows = call.parameters.map((p) => [
      make("code", {}, p.name), `${p.in}: ${typeOf(p.schema)}`, p.description ?? (p.required ? "required" : ""),
    ]);
    found.push(make("h4", {}, "Parameters"), table(["Name", "Takes", "Note"], rows));
  }
  if (body) found.push(make("h4", {}, "Body"), table(["Field", "Takes", "Note"], fieldRows(resolve(body), resolve(body).required)));
  const answer = call.responses["200"]?.content?.["application/json"]?.schema;
  const answered = resolve(answer?.items ?? answer);
  if (answered.properties) {
    const title = answer.items ? "Answer: a list of" : "Answer";
    found.push(make("h4", {}, title), table(["Field", "Is", "Note"], fieldRows(answered)));
  }
  const refusals = Object.entries(call.responses).filter(([status]) => status !== "200");
  found.push(make("h4", {}, "Refusals"), table(["Status", "When"], refusals.map(([status, r]) => [status, r.description])));
  return found;
}

function callOf(method, path, call) {
  const summary = make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("code", {}, path), make("span", { class: "says" }, ...prose((call.description ?? "").split(/[.;]/)[0])));
  return make("details", { class: "call", id: call.operationId }, summary, make("div", {}, ...parts(method, path, call)));
}

function show() {
  byName("release").textContent = spec.info.version;
  byName("about").replaceChildren(...(spec.info.description ?? "").trim().split("\n\n").map((text) => make("p", {}, ...prose(text))));
  const groups = new Map();
  for (const [path, calls] of Object.entries(spec.paths)) {
    for (const [method, call] of Object.entries(calls)) {
      const tag = call.tags?.[0] ?? "other";
      groups.set(tag, [...(groups.get(tag) ?? [make("h2", {}, tag[0].toUpperCase() + tag.slice(1))]), callOf(method, path, call)]);
    }
  }
  byName("calls").replaceChildren(...[...groups.values()].flat());
  const asked = location.hash ? document.getElementById(location.hash.slice(1)) : null;
  if (asked?.tagName === "DETAILS") asked.open = true;
}

const byName = (id) => document.getElementById(id);

fetch("openapi.json")
  .then((answer) => answer.json())
  .then((found) => { spec = found; show(); })
  .catch(() => byName("calls").replaceChildren(make("p", { class: "note" }, "openapi.json could not be read.")));
