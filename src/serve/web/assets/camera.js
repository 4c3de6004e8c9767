// One camera: its live picture, how it does, its recordings and settings.

import { Rate, api, byId, cameraPath, data, formatCount, formatDelay, formatNumber, formatTime, keepAsking, showState, t, word } from "./common.js";
import { play } from "./player.js";
import { startRecordings } from "./recordings.js";
import { startSettings } from "./settings.js";

const STATUS_EVERY = 2000;
const path = cameraPath(data.camera);
const rate = new Rate();

function show(camera) {
  showState(byId("state"), camera.health);
  byId("since").textContent = t("since", { time: formatTime(camera.since) });
  const comes = camera.health === "live" || camera.health === "degraded";
  byId("stage").classList.toggle("stale", !comes);
  if (camera.width) byId("stage").style.aspectRatio = `${camera.width} / ${camera.height}`;
  const fault = camera.health === "live" ? null : camera.last_error;
  byId("fault").hidden = !fault;
  byId("fault").textContent = fault ?? "";
  const regions = rate.add(camera);
  const classes = Object.entries(camera.regions);
  const figures = {
    size: camera.width ? `${camera.width} × ${camera.height}` : "–",
    fps: formatNumber(camera.frames_per_second),
    latency: comes ? formatDelay(camera.latency) : "–",
    regions: regions === null ? "–" : formatCount(regions),
    classes: classes.map(([name, count]) => `${formatCount(count)} ${word(`class.${name}`, name)}`).join(", ") || "–",
    "detect-every": camera.detect_every > 1 ? t("every-nth", { count: camera.detect_every }) : t("every-frame"),
    frames: formatCount(camera.frames),
    filled: formatCount(camera.frames_failed_closed),
    dropped: formatCount(camera.frames_dropped),
    reconnects: formatCount(camera.reconnects),
    recording: camera.recording ? t("yes") : t("no"),
    clients: formatCount(camera.clients),
  };
  for (const [id, text] of Object.entries(figures)) byId(id).textContent = text;
  byId("filled").classList.toggle("attention", camera.frames_failed_closed > 0);
  byId("dropped").classList.toggle("attention", camera.frames_dropped > 0);
}

keepAsking(async () => show(await (await api(path)).json()), STATUS_EVERY);

play(`/api/v1${path}`, { video: byId("video"), image: byId("image") }, (way) => {
  byId("no-picture").hidden = way !== "waiting";
  byId("how").textContent = { hls: t("how-hls"), pictures: t("how-pictures"), waiting: t("how-waiting") }[way];
});

byId("full").hidden = !document.fullscreenEnabled;
byId("full").addEventListener("click", () => byId("stage").requestFullscreen());

startRecordings(path);
startSettings(path);
