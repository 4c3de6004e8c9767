// Zones, margin and threshold: read, changed and saved through the API.

import { announce, api, byId, data, formatShare, t } from "./common.js";
import { ZoneEditor } from "./zones.js";

/** Shows the settings of the camera at `path`; an admin can change them. */
export function startSettings(path) {
  const editor = new ZoneEditor(byId("overlay"), changed);
  let saved = null;
  let tag = null;
  let editing = false;

  const margin = byId("margin");
  const threshold = byId("threshold");
  const own = byId("own");

  const current = () => ({
    zones: editor.zones,
    // A value between the slider's steps, which the configuration may have, stays as it is until the slider moves.
    margin: Number(margin.value) === step(saved.margin * 100, margin) ? saved.margin : Number(margin.value) / 100,
    confidence_threshold: own.checked ? null
      : saved.confidence_threshold !== null && Number(threshold.value) === step(saved.confidence_threshold * 100, threshold)
        ? saved.confidence_threshold : Number(threshold.value) / 100,
  });
  const isChanged = () => editing && saved && JSON.stringify(current()) !== JSON.stringify(saved);

  function step(value, slider) {
    const unit = Number(slider.step);
    const rounded = Math.round(value / unit) * unit;
    return Math.min(Math.max(rounded, Number(slider.min)), Number(slider.max));
  }

  function fill(settings) {
    saved = settings;
    editor.zones = structuredClone(settings.zones);
    margin.max = Math.max(150, Math.ceil(settings.margin * 20) * 5);
    margin.value = settings.margin * 100;
    own.checked = settings.confidence_threshold === null;
    threshold.value = (settings.confidence_threshold ?? 0.3) * 100;
    changed();
  }

  function changed() {
    const { zones } = editor;
    byId("zone-count").textContent = zones.length ? zones.length : "";
    byId("margin-value").textContent = formatShare(saved && editing === false ? saved.margin * 100 : margin.value);
    threshold.disabled = own.checked;
    byId("threshold-value").textContent = own.checked ? t("threshold-model") : formatShare(threshold.value);
    byId("zone-help").textContent = editor.drawing ? t("zones-draw-help") : editing ? t("zones-edit-help") : t("zones-help");
    byId("draw").textContent = editor.drawing ? t("drawing") : t("draw");
    byId("draw").setAttribute("aria-pressed", editor.drawing);
    byId("undo").disabled = !editor.canUndo;
    byId("save").disabled = !isChanged();
    byId("zones").replaceChildren(...zones.map(zoneRow));
    if (editing) byId("settings-saved").hidden = true;
  }

  function zoneRow(zone, index) {
    const item = document.createElement("li");
    item.classList.toggle("selected", editing && index === editor.selected);
    const name = document.createElement(editing ? "button" : "span");
    name.className = "grow link";
    name.textContent = t("zone", { number: index + 1 });
    const corners = document.createElement("span");
    corners.className = "muted small";
    corners.textContent = t("corners", { count: zone.length });
    item.append(name, corners);
    if (editing) {
      name.type = "button";
      name.addEventListener("click", () => editor.select(index, true));
      const remove = document.createElement("button");
      remove.type = "button";
      remove.className = "quiet";
      remove.textContent = t("delete");
      remove.setAttribute("aria-label", t("delete-zone", { number: index + 1 }));
      remove.addEventListener("click", () => {
        editor.remove(index);
        announce(t("zone-deleted", { number: index + 1 }));
      });
      item.append(remove);
    }
    return item;
  }

  function setEditing(on) {
    editing = on;
    editor.enable(on);
    byId("fields").disabled = !on;
    document.body.classList.toggle("editing", on);
    for (const id of ["tools", "decide"]) byId(id).hidden = !on;
    byId("edit").hidden = on;
    changed();
  }

  function fail(error) {
    byId("settings-failure").textContent = error?.message ?? "";
    byId("settings-failure").hidden = !error;
  }

  async function load() {
    const response = await api(`${path}/settings`);
    tag = response.headers.get("etag");
    fill(await response.json());
  }

  async function save(event) {
    event.preventDefault();
    if (editor.drawing) {
      fail(new Error(t("unfinished")));
      return;
    }
    fail(null);
    byId("save").disabled = true;
    try {
      const response = await api(`${path}/settings`, {
        method: "PUT",
        headers: { "Content-Type": "application/json", "If-Match": tag },
        body: JSON.stringify(current()),
      });
      tag = response.headers.get("etag");
      fill(await response.json());
      setEditing(false);
      byId("settings-saved").hidden = false;
      byId("edit").focus();
    } catch (error) {
      fail(error);
      byId("save").disabled = false;
    }
  }

  for (const input of [margin, threshold, own]) input.addEventListener("input", changed);
  byId("settings").addEventListener("submit", save);
  if (data.admin) {
    byId("edit").addEventListener("click", async () => {
      // As they are now, not as they were when the page came.
      await load().then(() => { setEditing(true); fail(null); byId("draw").focus(); }).catch(fail);
    });
    byId("draw").addEventListener("click", () => (editor.drawing ? editor.finish() : editor.draw()));
    byId("rectangle").addEventListener("click", () => {
      editor.addRectangle();
      announce(t("zone-added", { number: editor.zones.length }));
    });
    byId("undo").addEventListener("click", () => editor.undo());
    byId("discard").addEventListener("click", async () => {
      setEditing(false);
      fail(null);
      await load().catch(fail);
      byId("edit").focus();
    });
    addEventListener("beforeunload", (event) => { if (isChanged()) event.preventDefault(); });
  }
  load().catch(fail);
}
