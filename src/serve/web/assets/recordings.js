// The list of recordings, and a window to play them in.

import { api, byId, formatDuration, formatMegabytes, formatTime, t } from "./common.js";

const AT_ONCE = 20;

/** Shows the recordings of the camera at `path`. */
export function startRecordings(path) {
  const list = byId("recordings");
  const dialog = byId("playback");
  const video = byId("playback-video");
  let all = [];

  function row(recording) {
    const time = formatTime(recording.start);
    const url = `/api/v1${path}/recordings/${encodeURIComponent(recording.file)}`;
    const item = document.createElement("li");
    const text = document.createElement("span");
    text.className = "grow";
    const when = document.createElement("span");
    when.textContent = time;
    const what = document.createElement("span");
    what.className = "muted small";
    what.textContent = `${formatDuration(recording.seconds)} · ${formatMegabytes(recording.bytes)}`;
    text.append(when, what);
    const play = document.createElement("button");
    play.type = "button";
    play.textContent = t("play");
    play.setAttribute("aria-label", t("play-of", { time }));
    play.addEventListener("click", () => {
      byId("playback-title").textContent = time;
      video.src = url;
      dialog.showModal();
      video.play().catch(() => {});
    });
    const download = document.createElement("a");
    download.className = "button quiet";
    download.href = url;
    download.download = recording.file;
    download.textContent = t("download");
    download.setAttribute("aria-label", t("download-of", { time }));
    item.append(text, play, download);
    return item;
  }

  function showMore() {
    list.append(...all.slice(list.childElementCount, list.childElementCount + AT_ONCE).map(row));
    byId("more").hidden = list.childElementCount >= all.length;
    byId("no-recordings").hidden = all.length > 0;
  }

  async function load() {
    all = await (await api(`${path}/recordings`)).json();
    list.replaceChildren();
    showMore();
  }

  byId("more").addEventListener("click", showMore);
  byId("refresh").addEventListener("click", () => load().catch(() => {}));
  byId("playback-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    video.removeAttribute("src");
    video.load();
  });
  // A click beside the window closes it.
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  load().catch(() => {});
}
