// Plays a camera's live picture in the best way that works here: the browser's own HLS player, else the fragments through
// Media Source Extensions, else single pictures. Tries the next way when one fails, and begins again when all did.

import { showSnapshot, wait } from "./common.js";

const START_WITHIN = 8000;
const RETRY_AFTER = 3000;
const PICTURE_EVERY = 250;
const PICTURES_FOR = 60_000;
const KEEP_SECONDS = 20;

/** Plays `base` (the camera in the API) on one of `screens`; `tell` hears "hls", "pictures" or "waiting" when that changes. */
export async function play(base, screens, tell) {
  const ways = [
    ["hls", screens.video, (begun) => playNatively(base, screens.video, begun)],
    ["hls", screens.video, (begun) => playFragments(base, screens.video, begun)],
    ["pictures", screens.image, (begun) => playPictures(base, screens.image, begun)],
  ];
  const show = (way, screen) => {
    for (const each of Object.values(screens)) each.hidden = each !== screen;
    tell(way);
  };
  show("waiting", null);
  for (;;) {
    let played = false;
    for (const [way, screen, start] of ways) {
      try {
        // Each throws when it cannot begin, and when it fails later. Until the next begins, the last picture stays.
        await start(() => show(way, screen));
        played = true;
      } catch (error) {
        console.info(`floutage: ${way}: ${error.message}`);
      }
    }
    if (!played) {
      show("waiting", null);
      await wait(RETRY_AFTER);
    }
  }
}

/** Resolves at `event` of `target`; throws at its error or when nothing happens in time. */
function happens(target, event, within = START_WITHIN) {
  return new Promise((resolve, reject) => {
    const stop = new AbortController();
    const end = (settle, value) => { stop.abort(); clearTimeout(timer); settle(value); };
    const timer = setTimeout(() => end(reject, new Error(`no ${event} in time`)), within);
    target.addEventListener(event, () => end(resolve), { signal: stop.signal });
    target.addEventListener("error", () => end(reject, new Error("the browser cannot play it")), { signal: stop.signal });
  });
}

/** Returns when `video` failed or stood still for too long. */
async function watch(video) {
  let last = -1;
  for (let still = 0; still < 3; ) {
    await wait(START_WITHIN / 2);
    if (video.error) throw new Error(video.error.message || "the video failed");
    still = !document.hidden && !video.paused && video.currentTime === last ? still + 1 : 0;
    last = video.currentTime;
  }
  throw new Error("the video stands still");
}

async function playNatively(base, video, begun) {
  if (!video.canPlayType("application/vnd.apple.mpegurl")) throw new Error("no HLS player in this browser");
  try {
    video.src = `${base}/hls/index.m3u8`;
    await Promise.all([happens(video, "playing"), video.play()]);
    begun();
    await watch(video);
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

/** What of a playlist matters here: the segments with their place in the stream and their header. */
export function readPlaylist(text) {
  const playlist = { target: 2, segments: [], ended: false };
  let sequence = 0;
  let init = null;
  for (const line of text.split(/\r?\n/)) {
    const [, tag, value] = line.match(/^#(EXT[A-Z0-9-]*):?(.*)$/) ?? [];
    if (tag === "EXT-X-MEDIA-SEQUENCE") sequence = Number(value);
    else if (tag === "EXT-X-TARGETDURATION") playlist.target = Number(value) || 2;
    else if (tag === "EXT-X-MAP") init = value.match(/URI="([^"]*)"/)?.[1] ?? null;
    else if (tag === "EXT-X-ENDLIST") playlist.ended = true;
    else if (line && !line.startsWith("#")) playlist.segments.push({ uri: line, sequence: sequence++, init });
  }
  return playlist;
}

/** The codecs of an MP4 header, as a MIME type for a source buffer; null when it has none that is known here. */
export function mimeType(header) {
  const find = (name) => {
    for (let at = 4; at + 4 <= header.length; at++) {
      if (String.fromCharCode(...header.subarray(at, at + 4)) === name) return at + 4;
    }
    return -1;
  };
  const hex = (byte) => byte.toString(16).padStart(2, "0");
  const avc = find("avcC");
  if (avc > 0) return `video/mp4; codecs="avc1.${[1, 2, 3].map((n) => hex(header[avc + n])).join("")}"`;
  const hevc = find("hvcC");
  if (hevc > 0) {
    const profile = header[hevc + 1] & 31;
    const tier = header[hevc + 1] & 32 ? "H" : "L";
    return `video/mp4; codecs="hvc1.${profile}.${profile === 2 ? "4" : "6"}.${tier}${header[hevc + 12]}.B0"`;
  }
  return null;
}

async function get(url) {
  const response = await fetch(url, { cache: "no-store" });
  if (!response.ok) throw new Error(`${response.status} for ${url.split("/").at(-1)}`);
  return response;
}

async function playFragments(base, video, begun) {
  const Source = window.ManagedMediaSource ?? window.MediaSource;
  if (!Source) throw new Error("no Media Source Extensions in this browser");
  const part = async (name) => new Uint8Array(await (await get(`${base}/hls/${name}`)).arrayBuffer());
  const list = async () => readPlaylist(await (await get(`${base}/hls/index.m3u8`)).text());
  let playlist = await list();
  const source = new Source();
  const url = URL.createObjectURL(source);
  try {
    video.disableRemotePlayback = true;
    video.src = url;
    await happens(source, "sourceopen");
    let [buffer, type, init] = [null, null, null];
    const change = async (how) => {
      const done = happens(buffer, "updateend");
      how();
      await done;
    };
    const append = (bytes) => change(() => buffer.appendBuffer(bytes));
    /** Makes the buffer ready for segments with this header: at the beginning, and when the camera's picture changes. */
    const useHeader = async (name) => {
      if (!name) throw new Error("the stream is not in fragmented MP4");
      const header = await part(name);
      const found = mimeType(header);
      if (!found || !Source.isTypeSupported(found)) throw new Error(`this browser does not play ${found}`);
      if (!buffer) {
        buffer = source.addSourceBuffer(found);
        // One segment after the other, whatever their own times: these begin anew with every header.
        buffer.mode = "sequence";
      } else if (found !== type) buffer.changeType(found);
      [type, init] = [found, name];
      await append(header);
    };
    // Three segments from the end: what players do to have something to go on with.
    let next = playlist.segments.at(-3)?.sequence ?? playlist.segments[0]?.sequence ?? 0;
    let playing = false;
    let lastNews = performance.now();
    for (;;) {
      if (video.error) throw new Error(video.error.message || "the video failed");
      // The gateway started anew, or this page slept: go on from what there is.
      const first = playlist.segments[0]?.sequence ?? next;
      const end = playlist.segments.at(-1)?.sequence ?? next;
      if (next < first || next > end + 1) next = Math.max(first, end - 2);
      for (const segment of playlist.segments.filter((segment) => segment.sequence >= next)) {
        if (segment.init !== init) await useHeader(segment.init);
        await append(await part(segment.uri));
        next = segment.sequence + 1;
        lastNews = performance.now();
      }
      if (buffer?.buffered.length) {
        keepNearEnd(video, buffer, playlist.target);
        const old = video.currentTime - KEEP_SECONDS;
        if (buffer.buffered.start(0) < old) await change(() => buffer.remove(0, old));
        if (!playing) {
          await video.play();
          playing = true;
          begun();
        }
      }
      if (playlist.ended || performance.now() - lastNews > START_WITHIN + 4000 * playlist.target) {
        throw new Error("no news of the stream");
      }
      await wait(Math.min(playlist.target * 500, 1000));
      // Missing for a moment while the camera is started anew.
      playlist = await list().catch(() => playlist);
    }
  } finally {
    video.removeAttribute("src");
    video.load();
    URL.revokeObjectURL(url);
  }
}

/** Jumps over gaps, and to the end when the picture fell too far behind. */
function keepNearEnd(video, buffer, target) {
  const { buffered } = buffer;
  if (!buffered.length) return;
  const end = buffered.end(buffered.length - 1);
  const start = buffered.start(buffered.length - 1);
  const behind = end - video.currentTime;
  if (video.currentTime < start || behind > 4 * target + 2 || behind < 0) {
    video.currentTime = Math.max(start, end - 2 * target);
  }
}

/** Single pictures for a while; then video may be possible. */
async function playPictures(base, image, begun) {
  const end = performance.now() + PICTURES_FOR;
  let failures = 0;
  while (performance.now() < end) {
    if (!document.hidden) {
      try {
        await showSnapshot(image, `${base}/snapshot.jpg`);
        if (image.hidden) begun();
        failures = 0;
      } catch (error) {
        failures += 1;
        if (failures > 2) throw error;
      }
    }
    await wait(PICTURE_EVERY);
  }
}
