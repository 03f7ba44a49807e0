// The demo and its page, as a person uses them. Screenshots are left in target/interop/viewer.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { open } from "./browser.mjs";

const shots = join(process.env.INTEROP_TARGET, "viewer");
mkdirSync(shots, { recursive: true });

let demo;
let base;
let grpc;

before(async () => {
  demo = spawn(process.env.DEMO, { stdio: ["ignore", "pipe", "inherit"] });
  for await (const line of createInterface({ input: demo.stdout })) {
    base ??= line.match(/Flame graphs: +(http:\S+)/)?.[1];
    grpc ??= line.match(/gRPC: +(\S+)/)?.[1];
    // Printed when the first round of requests has been shipped.
    if (line.startsWith("Look at")) break;
  }
  assert.ok(base && grpc, "the demo says where it is");
});

after(() => demo.kill("SIGINT"));

/** Runs `steps` on a page, and fails when anything on it was wrong. */
async function on(options, steps) {
  const { page, wrong, close } = await open(options);
  try {
    await steps(page, (name) => page.screenshot({ path: join(shots, `${name}.png`) }));
    assert.deepEqual(wrong, []);
  } finally {
    await close();
  }
}

const drawn = async (page) => {
  await page.waitForSelector("g.frame");
  // The names come after the frames.
  await page.waitForFunction(() => document.querySelector(".d3-flame-graph-label")?.textContent);
};
const count = (page) => page.locator(".count").first().textContent().then((text) => Number(text.replace(/\D/g, "")));
const frame = (page, name) => page.locator(`g.frame[name="${name}"]`);
const widthOf = async (locator) => (await locator.locator("rect").boundingBox()).width;

test("traces arrive while one looks, and stay filtered", () =>
  on({}, async (page, shot) => {
    await page.goto(base);
    const first = await count(page);
    assert.ok(first >= 9);
    await page.waitForFunction((first) => Number(document.querySelector(".count").textContent.replace(/\D/g, "")) > first, first);
    await shot("traces");
    await page.fill("input[name=q]", "/search");
    await page.click("text=Filter");
    await page.waitForURL(/q=%2Fsearch/);
    const names = await page.locator("table.traces td.name").allTextContents();
    assert.ok(names.length > 0 && names.every((name) => name.includes("GET /search")), names.join());
    await page.click("th >> text=Duration");
    await page.waitForURL(/sort=duration/);
    assert.ok((await page.locator("table.traces tbody tr").count()) > 0);
  }));

test("what somebody types is left alone by an answer that was on its way", () =>
  on({}, async (page) => {
    await page.goto(base);
    const turn = () => {
      let take;
      return [new Promise((resolve) => (take = resolve)), take];
    };
    const [isAsked, asked] = turn();
    const [isReleased, release] = turn();
    await page.route(`${base}/`, async (route) => {
      asked();
      await isReleased;
      await route.continue();
    });
    await isAsked;
    await page.fill("input[name=q]", "/search");
    const answered = page.waitForResponse(`${base}/`);
    release();
    await (await answered).finished();
    // Asked for later, so read later.
    await page.evaluate(() => fetch("/").then((answer) => answer.text()));
    assert.equal(await page.inputValue("input[name=q]"), "/search");
  }));

test("a trace is zoomed, searched, and read with the keyboard", () =>
  on({}, async (page, shot) => {
    await page.goto(`${base}/?q=orders`);
    await page.click("table.traces td.name a");
    await drawn(page);
    await shot("trace");
    const loading = frame(page, "demo::service::load_order");
    const narrow = await widthOf(loading);
    await loading.hover();
    assert.match(await page.textContent(".flame-details"), /demo::service::load_order — total .* \(.*%\), own .* \(.*%\)/);
    await loading.click();
    await page.waitForFunction(() => document.querySelectorAll(".flame-path button").length === 3);
    await page.waitForFunction((narrow) => document.querySelector('g.frame[name="demo::service::load_order"] rect').getBoundingClientRect().width > 2 * narrow, narrow);
    await shot("trace-zoomed");
    await page.click(".flame-path button >> nth=0");
    await page.waitForFunction(() => document.querySelector(".flame-path").hidden);
    await page.fill(".flame-search", "SLEEP");
    // One for each of the three functions that wait.
    const found = Number((await page.textContent(".flame-found")).match(/^\D*(\d+) found, \d/)[1]);
    assert.ok(found >= 3, `${found} found`);
    await page.waitForFunction((found) => [...document.querySelectorAll("g.frame rect")].filter((r) => r.getAttribute("fill") === "var(--k-found)").length === found, found);
    await page.fill(".flame-search", "");
    await page.focus(".flame-chart");
    for (let row = 0; row < 20; row += 1) await page.keyboard.press("ArrowDown");
    assert.match(await page.textContent(".flame-details"), /^axum.request GET/);
    await page.keyboard.press("ArrowUp");
    assert.match(await page.textContent(".flame-details"), /^demo::service::show_order — total/);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => !document.querySelector(".flame-path").hidden);
    await page.keyboard.press("Escape");
    await page.waitForFunction(() => document.querySelector(".flame-path").hidden);
  }));

test("the merged graph of an endpoint says what pprof says of its files", () =>
  on({}, async (page, shot) => {
    await page.goto(`${base}/endpoints`);
    // A range, so that what begins meanwhile is not in it.
    // A browser's own way to write it: without seconds where there are none, and it takes no other.
    const to = new Date().toISOString().slice(0, 19).replace(/:00$/, "");
    await page.click('td.name a:has-text("/report")');
    await page.fill("input[name=to]", to);
    await page.click("text=Show");
    await page.waitForURL(/to=/);
    await drawn(page);
    await shot("endpoint");
    const url = page.url();
    const sumNow = async () => {
      await page.goto(url);
      return Number(await page.getAttribute(".sum", "data-micros"));
    };
    const hrefsNow = async () => {
      await page.goto(`${base}/?q=%2Freport&to=${to}`);
      return page.locator("table.traces td.name a:first-child").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
    };
    // What began before may arrive late, between the two pages.
    let sum, hrefs;
    do {
      sum = await sumNow();
      hrefs = await hrefsNow();
    } while (sum !== await sumNow());
    const files = [];
    for (const href of hrefs) {
      const answer = await fetch(`${base}${href}/profile.pb.gz`);
      const file = join(shots, `${href.split("/").pop()}.pb.gz`);
      writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
      files.push(file);
    }
    assert.ok(files.length >= 2 && files.length < 50);
    const env = { ...process.env, GOTOOLCHAIN: "local", GOPROXY: "off", GOFLAGS: "" };
    const top = execFileSync("go", ["tool", "pprof", "-top", "-symbolize=none", "-unit=us", "-sample_index=self_us", ...files], { env, encoding: "utf8" });
    assert.equal(Number(top.match(/of (\d+)us total/)[1]), sum, `${url}\n${top}`);
  }));

test("two ranges are compared in red and blue", () =>
  on({}, async (page, shot) => {
    await page.goto(`${base}/endpoints`);
    await page.click('td.name a:has-text("/orders/{id}")');
    const range = await page.textContent(".range");
    const [from, to] = range.match(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/g).map((time) => Date.parse(`${time}Z`));
    // Seconds are the form's smallest unit: the second half, against the first.
    const middle = new Date(Math.ceil((from + to) / 2000) * 1000).toISOString().slice(0, 19);
    await page.fill("input[name=from]", middle);
    await page.check("input[name=compare]");
    await page.fill("input[name=other_to]", middle);
    await page.click("text=Show");
    await page.waitForURL(/compare=yes/);
    await drawn(page);
    const fills = await page.locator("g.frame rect").evaluateAll((rects) => rects.map((rect) => getComputedStyle(rect).fill));
    assert.ok(fills.every((fill) => fill !== "rgb(0, 0, 0)"), fills.join());
    assert.ok(await page.locator("h2 >> text=Most changed functions").isVisible());
    await frame(page, "demo::service::load_order").hover();
    assert.match(await page.textContent(".flame-details"), /a trace, on the other side/);
    await shot("comparison");
  }));

test("functions that nobody has marked are there: what worked, who waited, who was waited for", () =>
  on({}, async (page, shot) => {
    const expected = {
      report: ["sum_up", "draw_chart", "compress"].map((name) => `demo::service::${name}`),
      orders: ["demo::service::price_of", "CALL demo::service::PriceActor", "SLEEP"],
    };
    for (const [query, names] of Object.entries(expected)) {
      await page.goto(`${base}/?q=${query}`);
      await page.click("table.traces td.name a");
      await drawn(page);
      for (const name of names) assert.ok((await frame(page, name).count()) > 0, `${name} in a trace of ${query}`);
      await shot(`functions-${query}`);
    }
  }));

test("an error leads to its trace and back", () =>
  on({}, async (page, shot) => {
    await page.goto(`${base}/?q=orders`);
    const href = await page.locator("table.traces td.name a").first().getAttribute("href");
    execFileSync(process.env.PYTHON, ["tests/interop/viewer_errors.py", grpc, href.split("/").pop()], { stdio: "inherit" });
    await page.goto(`${base}/errors`);
    await page.waitForSelector("td.name a");
    assert.equal(await page.locator("td.name a").count(), 2);
    await shot("errors");
    await page.click("td.name a >> text=PaymentError");
    await page.click("text=Latest event");
    await page.waitForSelector(".exception");
    assert.match(await page.textContent(".line.it"), /charge\(card\)/);
    await shot("error");
    await page.click(".trace-link");
    await page.waitForURL(`${base}${href}`);
    await drawn(page);
    await page.click(".linked a");
    await page.waitForURL(/errors\/event/);
  }));

for (const [name, options] of [["dark", { colorScheme: "dark" }], ["narrow", { viewport: { width: 400, height: 860 } }]]) {
  test(`the pages are right when ${name}`, () =>
    on(options, async (page, shot) => {
      await page.goto(`${base}/?q=orders`);
      const href = await page.locator("table.traces td.name a").first().getAttribute("href");
      for (const [of, path] of [["traces", "/"], ["trace", href], ["endpoints", "/endpoints"], ["errors", "/errors"]]) {
        await page.goto(`${base}${path}`);
        if (of === "trace") await drawn(page);
        const [content, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
        assert.ok(content <= window, `${of} is ${content} wide in ${window}`);
        await shot(`${of}-${name}`);
      }
      if (name === "dark") {
        await page.goto(base);
        const [red] = (await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)).match(/\d+/g);
        assert.ok(Number(red) < 64);
      }
    }));
}

test("a page and all that it loads weigh less than 300 KB", () =>
  on({}, async (page) => {
    await page.goto(base);
    const trace = await page.locator("table.traces td.name a").first().getAttribute("href");
    for (const path of ["/", trace, "/endpoint?event=axum.request&identifier=GET%20%2Forders%2F%7Bid%7D"]) {
      await page.goto(`${base}${path}`);
      if (path !== "/") await drawn(page);
      const bytes = await page.evaluate(() => ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type))
        .reduce((sum, entry) => sum + entry.decodedBodySize, 0));
      console.log(`${path}: ${bytes} bytes`);
      assert.ok(bytes > 10_000 && bytes < 300_000, `${path}: ${bytes}`);
    }
  }));
