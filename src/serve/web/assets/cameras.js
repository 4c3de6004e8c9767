// All cameras: a picture every second or two, and how each does.

import { Rate, api, byId, cameraPath, formatCount, formatDelay, formatNumber, keepAsking, showSnapshot, showState, t } from "./common.js";

const STATUS_EVERY = 2000;
const PICTURE_EVERY = 1000;
const tiles = new Map();

function parts(element) {
  const found = {};
  for (const part of element.querySelectorAll("[data-to]")) found[part.dataset.to] = part;
  return found;
}

function makeTile(name) {
  const element = byId("tile").content.cloneNode(true).firstElementChild;
  const part = parts(element);
  part.link.href = cameraPath(name);
  part.name.textContent = name;
  byId("cameras").append(element);
  const tile = { element, part, rate: new Rate(), visible: true, busy: false };
  new IntersectionObserver(([entry]) => { tile.visible = entry.isIntersecting; }).observe(element);
  return tile;
}

async function showPicture(name, tile) {
  if (tile.busy || !tile.visible || document.hidden) return;
  tile.busy = true;
  try {
    await showSnapshot(tile.part.image, `/api/v1${cameraPath(name)}/snapshot.jpg`);
    tile.part.image.hidden = false;
  } catch {
    tile.part.image.hidden = true;
  } finally {
    tile.part["no-picture"].hidden = !tile.part.image.hidden;
    tile.busy = false;
  }
}

function show(camera) {
  const tile = tiles.get(camera.name) ?? makeTile(camera.name);
  tiles.set(camera.name, tile);
  const { part } = tile;
  showState(part.state, camera.health);
  const comes = camera.health === "live" || camera.health === "degraded";
  part.picture.classList.toggle("stale", !comes);
  if (camera.width) part.picture.style.aspectRatio = `${camera.width} / ${camera.height}`;
  part.fps.textContent = formatNumber(camera.frames_per_second);
  part.latency.textContent = comes ? formatDelay(camera.latency) : "–";
  const rate = tile.rate.add(camera);
  part.regions.textContent = rate === null ? "–" : formatCount(rate);
  const fault = camera.health === "live" ? null : camera.last_error;
  part.fault.hidden = !fault;
  part.fault.textContent = fault ?? "";
}

keepAsking(async () => {
  const cameras = await (await api("/cameras")).json();
  cameras.forEach(show);
  for (const [name, tile] of tiles) {
    if (!cameras.some((camera) => camera.name === name)) {
      tile.element.remove();
      tiles.delete(name);
    }
  }
  const live = cameras.filter((camera) => camera.health === "live").length;
  const all = live === cameras.length;
  const summary = all ? t("all-live", { count: live }) : t("some-live", { live, count: cameras.length });
  // Only when it changes: screen readers read it out.
  if (byId("summary").textContent !== summary) byId("summary").textContent = cameras.length ? summary : "";
  byId("none").hidden = cameras.length > 0;
}, STATUS_EVERY);

setInterval(() => tiles.forEach((tile, name) => showPicture(name, tile)), PICTURE_EVERY);
