/* The deck's file in a frame that fills the screen. Keys pressed anywhere on the page turn its slides. */
const TYPED = "input, textarea, select, [contenteditable], [role=combobox], [role=slider], [role=listbox], [role=menu]";
const KEYS = ["ArrowLeft", "ArrowRight", "PageUp", "PageDown", "Home", "End", " "];
const ROOM_BELOW_PX = 12;
const LEAST_PX = 430;
const frames = new WeakMap();

// Plotly's script as text, once: the deck can't fetch, being of no origin.
let fetched;
const plotly = () =>
  (fetched ??= fetch(new URL("app/static/plotly-cartesian.min.js", document.baseURI)).then((answer) => {
    if (!answer.ok) throw new Error(`${answer.url} did not load; reload the page`);
    return answer.text();
  }));

export default function ({ data, parentElement, setStateValue }) {
  const state = frames.get(parentElement) ?? start(parentElement, data);
  state.tell = (slide) => setStateValue("slide", slide);
  state.theme = data.dark ? "dark" : "light";
  state.frame.title = data.title;
  const deck = `${state.theme}\n${data.html}`;
  if (state.deck !== deck) {
    state.deck = deck;
    // The file reads where to start from its window's name.
    state.frame.name = JSON.stringify({ slide: state.slide, theme: state.theme });
    const fresh = state.frame.cloneNode();
    fresh.srcdoc = data.html;
    state.frame.replaceWith(fresh);
    state.frame = fresh;
  }
  state.fit();
  return state.stop;
}

function start(parentElement, data) {
  const frame = document.createElement("iframe");
  // No same origin: the deck can save files, print and fill the screen, and cannot reach the app.
  frame.setAttribute("sandbox", "allow-scripts allow-downloads allow-modals");
  frame.allow = "fullscreen";
  frame.style.cssText = "display:block; width:100%; border:0; border-radius:6px; background:transparent;";
  parentElement.append(frame);
  const state = { frame, slide: data.slide, deck: null };
  state.fit = () => {
    const top = state.frame.getBoundingClientRect().top;
    const room = window.innerHeight - Math.max(0, top) - ROOM_BELOW_PX;
    state.frame.style.height = `${Math.max(LEAST_PX, room)}px`;
  };
  const heard = (event) => {
    if (event.source !== state.frame.contentWindow) return;
    if (event.data?.deck === "ready") send();
    if (event.data?.deck !== "slide") return;
    state.slide = event.data.slide;
    state.tell(state.slide);
  };
  // The words are there before the charts.
  const send = async () => {
    const script = await plotly();
    state.frame.contentWindow?.postMessage({ deck: "plotly", script }, "*");
  };
  const pressed = (event) => {
    const path = event.composedPath()[0];
    if (!KEYS.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    if (path.closest?.(TYPED) || (event.key === " " && path.closest?.("button, a, summary"))) return;
    event.preventDefault();
    state.frame.contentWindow?.postMessage({ deck: "key", key: event.key, shift: event.shiftKey }, "*");
  };
  window.addEventListener("message", heard);
  window.addEventListener("keydown", pressed);
  window.addEventListener("resize", state.fit);
  state.stop = () => {
    window.removeEventListener("message", heard);
    window.removeEventListener("keydown", pressed);
    window.removeEventListener("resize", state.fit);
    frames.delete(parentElement);
  };
  frames.set(parentElement, state);
  return state;
}
