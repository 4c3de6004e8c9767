// What all pages share: words, the API, and how things are shown.

export const data = JSON.parse(document.getElementById("data").textContent);

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

const language = data.language === "fr" ? "fr-FR" : "en-GB";
const number = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
const size = new Intl.NumberFormat(language, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });

/** The words for a key, with `{name}` replaced. */
export function t(key, values = {}) {
  const text = data.words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** Words for a key that a server may extend: `fallback` if there are none. */
export const word = (key, fallback) => data.words[key] ?? fallback;

export const formatNumber = (value) => number.format(value);
export const formatCount = (value) => whole.format(value);
export const formatMegabytes = (bytes) => size.format(bytes / 1e6);
export const formatTime = (text) => moment.format(new Date(text));
export const formatShare = (percent) => new Intl.NumberFormat(language, { style: "percent" }).format(percent / 100);

/** Seconds as milliseconds or seconds, whichever reads better. */
export function formatDelay(seconds) {
  return seconds < 1
    ? t("milliseconds", { count: whole.format(seconds * 1000) })
    : t("seconds", { count: number.format(seconds) });
}

/** Seconds as hours, minutes and seconds. */
export function formatDuration(seconds) {
  const total = Math.round(seconds);
  const parts = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const shown = parts[0] > 0 ? parts : parts.slice(1);
  return shown.map((part, index) => (index ? String(part).padStart(2, "0") : part)).join(":");
}

/** A refusal of the server. */
export class Refusal extends Error {
  constructor(status, body) {
    super(word(`failure.${body?.error}`, body?.message ?? t("failure.internal")));
    this.status = status;
  }
}

/** Asks the API. A session that ended leads to the login. */
export async function api(path, options = {}) {
  const headers = { ...options.headers };
  if (options.method) headers["X-CSRF-Token"] = data.csrf;
  const response = await fetch(`/api/v1${path}`, { ...options, headers, cache: "no-store" });
  if (response.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname)}`);
  }
  if (!response.ok) throw new Refusal(response.status, await response.json().catch(() => null));
  return response;
}

export const cameraPath = (name) => `/cameras/${encodeURIComponent(name)}`;

/** Shows a state in a pill. */
export function showState(pill, health) {
  pill.textContent = t(`state.${health}`);
  pill.dataset.state = health;
}

export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Shows the picture at `url` in `image`, which keeps the last one until the new one is there. */
export async function showSnapshot(image, url) {
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Refusal(response.status, null);
  const before = image.src;
  const shown = URL.createObjectURL(await response.blob());
  image.src = shown;
  try {
    await image.decode();
  } finally {
    if (before.startsWith("blob:")) URL.revokeObjectURL(before);
  }
}

/** Says something to screen readers. */
export function announce(text) {
  byId("announce").textContent = text;
}

/** Calls `work` now and `pause` ms after each time it was done, while the page is visible. Says when the gateway is silent. */
export function keepAsking(work, pause) {
  let failures = 0;
  const again = async () => {
    if (!document.hidden) {
      try {
        await work();
        failures = 0;
      } catch {
        failures += 1;
      }
      byId("offline").hidden = failures < 2;
    }
    setTimeout(again, pause);
  };
  again();
}

/** How many regions a minute were redacted, from counts since the start. */
export class Rate {
  #samples = [];

  /** Takes a count; returns the rate over the last minute, or null before there is one. */
  add(camera) {
    const total = Object.values(camera.regions).reduce((sum, count) => sum + count, 0);
    const now = performance.now();
    const last = this.#samples.at(-1);
    if (last && total < last.total) this.#samples = [];
    this.#samples.push({ now, total });
    while (now - this.#samples[0].now > 60_000) this.#samples.shift();
    const first = this.#samples[0];
    const minutes = (now - first.now) / 60_000;
    return minutes > 0.03 ? (total - first.total) / minutes : null;
  }
}

byId("log-out")?.addEventListener("click", async () => {
  await api("/session", { method: "DELETE" }).catch(() => {});
  location.assign("/login");
});
