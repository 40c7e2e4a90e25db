// Draws a Plotly figure and, when the next one comes, changes what differs. Streamlit's own chart element is thrown
// away and drawn anew whenever a number in it changes.

// One script for all charts of a page.
const plotly = () =>
  (window.aiqPlotly ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("app/static/plotly-cartesian.min.js", document.baseURI);
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error(`${script.src} did not load; reload the page`));
    document.head.append(script);
  }));

const EXPAND =
  "M0 600V1000H400V880H120V600ZM600 1000H1000V600H880V880H600ZM0 0V400H120V120H400V0ZM880 400H1000V0H600V120H880Z";

const fullscreen = {
  name: "fullscreen",
  title: "Full screen",
  icon: { width: 1000, height: 1000, path: EXPAND },
  click: (box) => (document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen()),
};

// Whether two charts draw the same.
const same = (one, other) => ["traces", "layout", "frames"].every((part) => one?.[part] === other[part]);

// What a layout has otherwise than the one before, as Plotly.relayout takes it.
function difference(before, after) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const other = [...names].filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
  return Object.fromEntries(other.map((name) => [name, after[name] ?? null]));
}

// The narrowest screen that a chart's keys and names are made for, in its own type sizes: 390 pixels.
const SCREEN_EM = 33.9;

// A projector's type on a phone would run over the chart's edge: there the whole chart is drawn smaller.
function shrink(box) {
  const { font, height } = JSON.parse(box.wanted.layout);
  const scale = Math.min(1, innerWidth / (SCREEN_EM * font.size));
  Object.assign(box.style, {
    width: `${100 / scale}%`,
    transform: scale < 1 ? `scale(${scale})` : "",
    transformOrigin: "0 0",
    marginBottom: `${(scale - 1) * height}px`,
  });
}

async function draw(box) {
  const Plotly = await plotly();
  if (box.drawn === undefined) {
    // A task each at first, so that one chart can be seen while the next is drawn.
    await new Promise((resolve) => setTimeout(resolve));
    // Plotly measures what it writes: in the page's font, letters and symbols.
    await document.fonts.load("12px Inter", "a↓").catch(() => {});
  }
  // Only now: what came in the meantime counts, not what asked for it.
  const before = box.drawn;
  const { traces, layout, frames, config } = (box.drawn = box.wanted);
  if (!box.isConnected || same(before, box.drawn)) return;
  shrink(box);
  if (before?.traces === traces && before.frames === frames) {
    // Where a mark moved, a thirtieth of the time; all else in the chart stays, the reader's zoom too.
    await Plotly.relayout(box, difference(JSON.parse(before.layout), JSON.parse(layout)));
  } else {
    await Plotly.react(box, {
      data: JSON.parse(traces),
      layout: JSON.parse(layout),
      frames: JSON.parse(frames),
      config: { ...config, modeBarButtonsToAdd: [fullscreen] },
    });
  }
  [box.width, box.height] = [box.clientWidth, box.clientHeight];
  if (before === undefined) listen(box);
}

// What Plotly's player breaks off fails without a reason, and nobody of Plotly's takes note of it.
addEventListener("unhandledrejection", (event) => event.reason === undefined && event.preventDefault());

// Plotly's buttons in a chart are shapes that only a pointer can press.
function makeReachable(box) {
  for (const button of box.querySelectorAll(".updatemenu-button")) {
    button.setAttribute("tabindex", 0);
    button.setAttribute("role", "button");
    button.setAttribute("aria-label", button.textContent.replace(/^\W+/, ""));
    button.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      button.dispatchEvent(new MouseEvent("click"));
    };
  }
}

function listen(box) {
  makeReachable(box);
  box.on("plotly_afterplot", () => makeReachable(box));
  box.on("plotly_click", (event) => box.clicked?.(event.points[0]));
  let frame;
  box.on("plotly_animatingframe", (event) => (frame = event.name));
  for (const end of ["plotly_animated", "plotly_animationinterrupted"]) {
    box.on(end, () => {
      if (frame !== undefined) box.played?.(frame);
      frame = undefined;
    });
  }
}

async function fit(box) {
  if (box.drawn === undefined || !box.clientWidth) return;
  shrink(box);
  if (box.clientWidth === box.width && box.clientHeight === box.height) return;
  [box.width, box.height] = [box.clientWidth, box.clientHeight];
  (await plotly()).Plots.resize(box);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector(".aiq-chart");
  // What pages/instant drew before is taken over, and what it foresees stays while the server is on its way there.
  const box = window.aiqInstant?.take?.(data.key, place) ?? place;
  box.setAttribute("aria-label", data.alt);
  box.style.height = `${data.height}px`;
  box.clicked = ({ customdata, pointIndex }) =>
    data.clickable && setTriggerValue("clicked", { customdata: customdata ?? null, index: pointIndex ?? null });
  box.played = (frame) => setTriggerValue("played", frame);
  box.asked = data;
  if (!window.aiqInstant?.heard(box)) box.wanted = data;
  draw(box).catch((error) => box.replaceChildren(error.message));
  box.watcher ??= new ResizeObserver(() => fit(box));
  box.watcher.observe(box);
  return () => {
    box.watcher.disconnect();
    window.Plotly?.purge(box);
  };
}
