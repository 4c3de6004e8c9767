// Uses the page as people do, in headless Chromium, and looks at what they would see. Ends with an error when it is wrong.

import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { BASE, CHROMIUM, DRIVER, SCREENSHOTS } = process.env;
const ADMIN = process.env.ADMIN.split("\n");
const VIEWER = process.env.VIEWER.split("\n");
const { chromium } = await import(pathToFileURL(DRIVER));
mkdirSync(SCREENSHOTS, { recursive: true });

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--autoplay-policy=user-gesture-required"] });
const complaints = [];
let cookies = null;

/** A window with these options; scripts' errors and refused content are noted. */
async function open(options = {}, before = null) {
  const context = await browser.newContext({ baseURL: BASE, locale: "en-GB", viewport: { width: 1280, height: 860 }, ...options });
  context.setDefaultTimeout(30_000);
  if (before) await context.addInitScript(before);
  if (cookies) await context.addCookies(cookies);
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    if (/Content Security Policy|TrustedHTML|Refused to/.test(message.text())) complaints.push(message.text());
  });
  return page;
}

const shot = (page, name, full = false) => page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: full });

async function logIn(page, [name, password]) {
  await page.fill("#name", name);
  await page.fill("#password", password);
  await page.click("button[type=submit]");
}

/** A number that differs when the picture in `selector` does. */
const look = (page, selector) => page.$eval(selector, (element) => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [64, 36];
  const context = canvas.getContext("2d");
  context.drawImage(element, 0, 0, 64, 36);
  return context.getImageData(0, 0, 64, 36).data.reduce((sum, value, index) => (sum * 31 + value * (index + 1)) % 2147483647, 7);
});

async function moves(page, selector) {
  const first = await look(page, selector);
  for (let attempt = 0; attempt < 60; attempt++) {
    await page.waitForTimeout(150);
    if ((await look(page, selector)) !== first) return;
  }
  assert.fail(`${selector} stands still`);
}

/** Nothing sticks out of the window, nothing to press is tiny, everything to press has a name, ids are unique. */
async function tidy(page) {
  const found = await page.evaluate(() => {
    const shown = (element) => element.checkVisibility() && !element.closest(".hidden, .skip");
    const wrong = [];
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} wide in ${clientWidth}`);
    for (const element of document.querySelectorAll("a, button, input, select")) {
      if (!shown(element) || element.type === "hidden") continue;
      const name = element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.[0]?.textContent;
      if (!name) wrong.push(`no name: ${element.outerHTML}`);
      const { height, width } = element.getBoundingClientRect();
      const small = Math.min(height, width) < 20;
      if (small) wrong.push(`${width} by ${height}: ${element.outerHTML}`);
    }
    for (const image of document.querySelectorAll("img")) if (!image.hasAttribute("alt")) wrong.push("an image without alt");
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    if (new Set(ids).size !== ids.length) wrong.push("an id is there twice");
    for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby], label[for]")) {
      const named = element.getAttribute("aria-labelledby") ?? element.getAttribute("aria-describedby") ?? element.htmlFor;
      if (!document.getElementById(named)) wrong.push(`nothing with id ${named}`);
    }
    if (document.querySelectorAll("h1").length !== 1) wrong.push("not one h1");
    return wrong;
  });
  assert.deepEqual(found, [], page.url());
}

/** Contrast of all text with what is behind it is 4.5 at least. */
async function legible(page) {
  const found = await page.evaluate(() => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const rgba = (colour) => {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
      return [...context.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => {
      const [r, g, b] = colour.slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const wrong = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const element = node.parentElement;
      if (!node.data.trim() || !element.checkVisibility() || element.closest(".hidden, .skip, script, :disabled, option")) continue;
      let behind = element;
      while (behind && rgba(getComputedStyle(behind).backgroundColor)[3] < 255) behind = behind.parentElement;
      const ground = light(rgba(behind ? getComputedStyle(behind).backgroundColor : "white"));
      const ink = light(rgba(getComputedStyle(element).color));
      const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
      if (contrast < 4.5) wrong.push(`${contrast.toFixed(2)}: ${node.data.trim()}`);
    }
    return wrong;
  });
  assert.deepEqual(found, [], page.url());
}

const steps = {
  async "a login, refused and then made"() {
    const page = await open();
    await page.goto("/cameras/entrance");
    assert.match(page.url(), /\/login\?next=/);
    await tidy(page);
    await legible(page);
    await logIn(page, [ADMIN[0], "a wrong password"]);
    await page.waitForSelector("[role=alert]");
    await shot(page, "login");
    await logIn(page, ADMIN);
    await page.waitForURL("**/cameras/entrance");
    cookies = await page.context().cookies();
    await page.context().close();
  },

  async "all cameras, with pictures that change"() {
    const page = await open();
    await page.goto("/");
    await page.waitForFunction(() => document.querySelectorAll(".tile img:not([hidden])").length === 2);
    assert.equal(await page.locator(".tile").count(), 3);
    assert.match(await page.textContent("#summary"), /1 of 3 live/);
    await moves(page, ".tile img");
    await page.waitForFunction(() => /\d/.test(document.querySelector("[data-to=regions]").textContent));
    await tidy(page);
    await legible(page);
    await shot(page, "cameras");
    await page.click(".tile a");
    await page.waitForURL("**/cameras/entrance");
    await page.context().close();
  },

  async "the live picture, through fragments"() {
    const page = await open({}, () => { HTMLMediaElement.prototype.canPlayType = () => ""; });
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#video:not([hidden])");
    assert.equal(await page.textContent("#how"), "Live video");
    assert.match(await page.$eval("#video", (video) => video.src), /^blob:/);
    await moves(page, "#video");
    // The stream's size changes, and with it its header and its times.
    const width = await page.$eval("#video", (video) => video.videoWidth);
    await page.waitForFunction((width) => document.getElementById("video").videoWidth !== width, width);
    await moves(page, "#video");
    assert.equal(await page.textContent("#how"), "Live video");
    await page.context().close();
  },

  async "the live picture, as this browser does it by itself"() {
    const page = await open();
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#video:not([hidden])");
    await moves(page, "#video");
    await page.context().close();
  },

  async "the live picture, one by one where there is no video"() {
    const page = await open({}, () => {
      HTMLMediaElement.prototype.canPlayType = () => "";
      delete window.MediaSource;
      delete window.ManagedMediaSource;
    });
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#image:not([hidden])");
    assert.match(await page.textContent("#how"), /^Single pictures/);
    await moves(page, "#image");
    await page.context().close();
  },

  async "zones, margin and threshold"() {
    const page = await open();
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#video:not([hidden])");
    await page.click("#edit");
    await page.click("#draw");
    await page.evaluate(() => scrollTo(0, 0));
    const box = await page.locator("#overlay").boundingBox();
    const at = (x, y) => [box.x + x * box.width, box.y + y * box.height];
    for (const [x, y] of [[0.6, 0.3], [0.9, 0.3], [0.9, 0.7], [0.6, 0.7]]) await page.mouse.click(...at(x, y));
    await page.mouse.move(...at(0.7, 0.5));
    await shot(page, "drawing");
    await page.mouse.click(...at(0.6, 0.3));
    assert.equal(await page.locator("#zones li").count(), 2);
    // A corner is dragged, then one is moved by keys and brought back by undo.
    await page.mouse.move(...at(0.6, 0.7));
    await page.mouse.down();
    await page.mouse.move(...at(0.57, 0.72), { steps: 4 });
    await page.mouse.move(...at(0.55, 0.75), { steps: 4 });
    await page.mouse.up();
    const points = () => page.$eval("polygon.selected", (polygon) => polygon.getAttribute("points"));
    const dragged = await points();
    await page.locator("[data-zone='1'][data-corner='0']").focus();
    await page.keyboard.press("Shift+ArrowRight");
    assert.notEqual(await points(), dragged);
    assert.equal(await page.evaluate(() => document.activeElement.dataset.corner), "0", "the focus stays");
    await page.click("#undo");
    await page.locator("#zones button.link").nth(1).click();
    assert.equal(await points(), dragged);
    await shot(page, "editor");
    await tidy(page);
    await legible(page);
    // A corner is put into an edge and taken out again.
    await page.mouse.move(...at(0.75, 0.3));
    await page.mouse.down();
    await page.mouse.move(...at(0.75, 0.25), { steps: 3 });
    await page.mouse.up();
    assert.match(await page.locator("#zones li").nth(1).textContent(), /5 corners/);
    await page.locator("[data-zone='1'][data-corner='1']").focus();
    await page.keyboard.press("Delete");
    assert.match(await page.locator("#zones li").nth(1).textContent(), /4 corners/);
    // The first zone is deleted; a rectangle is added.
    await page.locator("#zones li").nth(0).getByRole("button", { name: "Delete zone 1" }).click();
    assert.equal(await page.locator("#zones li").count(), 1);
    await page.click("#rectangle");
    // What is given up leaves nothing.
    await page.click("#draw");
    await page.mouse.click(...at(0.1, 0.9));
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#zones li").count(), 2);
    await page.locator("#margin").focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.textContent("#margin-value"), "50%");
    await page.uncheck("#own");
    await page.locator("#threshold").fill("25");
    await page.click("#save");
    await page.waitForSelector("#settings-saved:not([hidden])");
    await shot(page, "saved");
    // The zone is in the picture.
    const colour = await page.evaluate(async () => {
      const response = await fetch("/api/v1/cameras/entrance/snapshot.jpg");
      const picture = await createImageBitmap(await response.blob());
      const canvas = new OffscreenCanvas(picture.width, picture.height);
      const context = canvas.getContext("2d");
      context.drawImage(picture, 0, 0);
      return [...context.getImageData(0.75 * picture.width, 0.5 * picture.height, 1, 1).data];
    });
    for (const value of colour.slice(0, 3)) assert.ok(Math.abs(value - 128) < 8, `${colour}`);
    // What is discarded is as before.
    await page.click("#edit");
    await page.click("#rectangle");
    assert.equal(await page.locator("#zones li").count(), 3);
    await page.click("#discard");
    await page.waitForFunction(() => document.querySelectorAll("#zones li").length === 2);
    await page.context().close();
  },

  async "two admins at once"() {
    const [one, other] = [await open(), await open()];
    for (const page of [one, other]) {
      await page.goto("/cameras/car%20park");
      await page.click("#edit");
      await page.waitForSelector("#tools:not([hidden])");
      await page.locator("#margin").focus();
      await page.keyboard.press("ArrowRight");
    }
    await one.click("#save");
    await one.waitForSelector("#settings-saved:not([hidden])");
    await other.click("#save");
    await other.waitForSelector("#settings-failure:not([hidden])");
    assert.match(await other.textContent("#settings-failure"), /Somebody else/);
    await other.click("#discard");
    await one.context().close();
    await other.context().close();
  },

  async "recordings"() {
    const page = await open();
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#recordings li");
    assert.equal(await page.locator("#recordings li").count(), 2);
    await page.locator("#recordings button").first().click();
    await page.waitForFunction(() => document.getElementById("playback-video").currentTime > 0.3);
    await shot(page, "recording");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("#playback[open]").count(), 0);
    await page.context().close();
  },

  async "in French, by the browser's language and by the switch"() {
    const page = await open({ locale: "fr-CA" });
    await page.goto("/");
    assert.equal(await page.textContent("h1"), "Caméras");
    await page.click("nav a[lang=en]");
    assert.equal(await page.textContent("h1"), "Cameras");
    await page.goto("/cameras/entrance");
    await page.click("nav a[lang=fr]");
    await page.waitForSelector("#video:not([hidden])");
    await page.click("#edit");
    assert.equal(await page.textContent("#draw"), "Dessiner une zone");
    assert.equal(await page.getAttribute("html", "lang"), "fr");
    await tidy(page);
    await legible(page);
    await shot(page, "french", true);
    await page.context().close();
  },

  async "on a phone, by finger, in the dark"() {
    const phone = { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2, colorScheme: "dark" };
    const page = await open(phone);
    await page.goto("/");
    await page.waitForFunction(() => document.querySelectorAll(".tile img:not([hidden])").length > 0);
    await tidy(page);
    await legible(page);
    await shot(page, "phone-cameras");
    await page.goto("/cameras/car%20park");
    await page.waitForSelector("#image:not([hidden])");
    await page.tap("#edit");
    await page.tap("#draw");
    await page.evaluate(() => document.getElementById("stage").scrollIntoView({ block: "center" }));
    const box = await page.locator("#overlay").boundingBox();
    for (const [x, y] of [[0.5, 0.4], [0.9, 0.4], [0.7, 0.9], [0.5, 0.4]]) {
      await page.touchscreen.tap(box.x + x * box.width, box.y + y * box.height);
      await page.waitForTimeout(400);
    }
    assert.equal(await page.locator("#zones li").count(), 2);
    await shot(page, "phone-editor", true);
    await tidy(page);
    await legible(page);
    await page.tap("#save");
    await page.waitForSelector("#settings-saved:not([hidden])");
    await page.context().close();
    const login = await open({ ...phone, storageState: { cookies: [], origins: [] } });
    await login.context().clearCookies();
    await login.goto("/login");
    await tidy(login);
    await legible(login);
    await shot(login, "phone-login");
    await login.context().close();
  },

  async "in the dark on a desk, and by keys alone"() {
    const page = await open({ colorScheme: "dark" });
    await page.goto("/cameras/entrance");
    await page.waitForSelector("#video:not([hidden])");
    await legible(page);
    await shot(page, "dark");
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.id), "main");
    // From there to the button to edit, into a zone, and move it.
    for (let presses = 0; presses < 30; presses++) {
      if (await page.evaluate(() => document.activeElement.id === "edit")) break;
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForSelector("#tools:not([hidden])");
    await page.waitForFunction(() => document.activeElement.id === "draw");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.dataset.zone), "2", "the new zone has the focus");
    const before = await page.$eval("polygon.selected", (polygon) => polygon.getAttribute("points"));
    await page.keyboard.press("ArrowDown");
    assert.notEqual(await page.$eval("polygon.selected", (polygon) => polygon.getAttribute("points")), before);
    await page.keyboard.press("Delete");
    assert.equal(await page.locator("#zones li").count(), 2);
    await page.click("#discard");
    await page.context().close();
  },

  async "a viewer, and the end of a session"() {
    const page = await open();
    await page.context().clearCookies();
    await page.goto("/login");
    await logIn(page, VIEWER);
    await page.waitForURL(`${BASE}/`);
    await page.goto("/cameras/entrance");
    assert.equal(await page.locator("#edit").count(), 0);
    await page.waitForFunction(() => document.querySelectorAll("#zones li").length === 2);
    await page.click("#log-out");
    await page.waitForURL("**/login");
    await page.goto("/");
    assert.match(page.url(), /\/login/);
    await page.context().close();
  },

  async "nothing complained"() {
    assert.deepEqual(complaints, []);
  },
};

let failed = false;
for (const [name, step] of Object.entries(steps)) {
  const start = performance.now();
  try {
    await step();
    console.log(`ok (${((performance.now() - start) / 1000).toFixed(1)} s): ${name}`);
  } catch (error) {
    failed = true;
    console.log(`FAILED: ${name}: ${error.stack}`);
    const pages = browser.contexts().flatMap((context) => context.pages());
    for (const [index, page] of pages.entries()) {
      await shot(page, `failed-${index}`).catch(() => {});
      await page.context().close().catch(() => {});
    }
    if (!cookies) break;
  }
}
await browser.close();
process.exit(failed ? 1 : 0);
