// How figures are written: in joules, watts and seconds with the prefix that reads best; never more digits than known.
"use strict";

const PREFIXES = [[1e9, "G"], [1e6, "M"], [1e3, "k"], [1, ""], [1e-3, "m"], [1e-6, "µ"]];

function prefixFor(value) {
  const size = Math.abs(value);
  return size === 0 ? [1, ""] : PREFIXES.find(([factor]) => size >= factor) ?? PREFIXES[PREFIXES.length - 1];
}

function figure(value, unit, digits = 3) {
  if (value === null || value === undefined) return "–";
  const [factor, prefix] = prefixFor(value);
  const scaled = value / factor;
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(Math.max(Math.abs(scaled), 1))));
  return `${scaled.toFixed(decimals)} ${prefix}${unit}`;
}

// "12.34 ± 0.05 kJ": the bound with two digits, the figure to the same place.
function bounded(joules, bound) {
  if (bound === null) return figure(joules, "J");
  const [factor, prefix] = prefixFor(Math.max(Math.abs(joules), Math.abs(bound)));
  const y = bound / factor;
  const decimals = y > 0 ? Math.min(6, Math.max(0, 1 - Math.floor(Math.log10(y)))) : 3;
  return `${(joules / factor).toFixed(decimals)} ± ${y.toFixed(decimals)} ${prefix}J`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts[0] ? `${parts[0]} h ${String(parts[1]).padStart(2, "0")} min` : `${parts[1]} min ${parts[2]} s`;
}

function since(unixSeconds) {
  const began = new Date(unixSeconds * 1000);
  const today = began.toDateString() === new Date().toDateString();
  return began.toLocaleString([], today ? { timeStyle: "medium" } : { dateStyle: "medium", timeStyle: "short" });
}

// An element with text or children; text is never read as markup.
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}
