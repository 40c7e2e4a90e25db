// Answers alpha at once: what every alpha shows was asked for while nothing else was to do (foresight.py). What the
// server sends is drawn in any case: a moment later, and as a rule the same.

const ALPHA = '[data-testid="stSidebar"] input[aria-label^="Alpha"]';
const PATIENCE_MS = 1500;
let address, answer, asking, waiting, held;

// What of the address decides what an alpha shows. To touch alpha drops the budget and the picked policy.
function now() {
  const asked = new URLSearchParams(location.search);
  for (const name of ["alpha", "budget", "policy"]) asked.delete(name);
  const app = document.querySelector('[data-testid="stApp"]');
  if (app && getComputedStyle(app).colorScheme === "dark") asked.set("dark", "1");
  return `${location.pathname}?${asked}`;
}

const boxes = () => [...document.querySelectorAll(".aiq-chart")].filter((box) => box.asked);

async function ask() {
  const asked = now();
  if (asked === address || !boxes().some((box) => box.asked.key === "pareto")) return;
  [address, answer] = [asked, undefined];
  const found = await fetch(new URL(`first/foresight?${asked.split("?")[1]}`, document.baseURI));
  if (found.ok && asked === address) answer = await found.json();
}

function foresee(alpha) {
  const place = answer?.at[Math.round(100 * alpha)];
  if (place === undefined || now() !== address) return;
  say(answer.shown[place].sentence);
  for (const chart of answer.shown[place].charts) {
    const box = boxes().find((box) => box.asked.key === chart.key);
    if (!box || same(box.wanted, chart)) continue;
    box.foreseen = true;
    box.wanted = { ...box.wanted, traces: chart.traces, layout: chart.layout, frames: chart.frames };
    draw(box);
  }
  wait();
}

function wait() {
  clearTimeout(waiting);
  waiting = setTimeout(settle, PATIENCE_MS);
}

// The server said something else, or nothing: it is right, and what was foreseen is out of date.
function settle() {
  // Streamlit asks the server when the thumb is let go.
  if (held) return wait();
  for (const box of boxes().filter((box) => box.foreseen)) {
    if (!same(box.wanted, box.asked)) address = undefined;
    box.foreseen = false;
    box.wanted = box.asked;
    draw(box);
  }
  unsay();
}

// The sentence stands in place of Streamlit's, which React may change at any time and knows nothing of it.
function say(sentence) {
  unsay();
  const theirs = document.querySelector('[data-testid="stMain"] h4 [data-heading-text]');
  if (!theirs || theirs.textContent === sentence.join("")) return;
  const ours = theirs.cloneNode(true);
  ours.removeAttribute("id");
  ours.classList.add("aiq-foreseen");
  const coloured = ours.querySelector(".stMarkdownColoredText");
  if (coloured) coloured.textContent = sentence[1];
  ours.replaceChildren(sentence[0], coloured ?? sentence[1], sentence[2]);
  theirs.style.display = "none";
  theirs.before(ours);
}

function unsay() {
  for (const ours of document.querySelectorAll(".aiq-foreseen")) {
    ours.nextElementSibling.style.display = "";
    ours.remove();
  }
}

window.aiqForesight = {
  // The server's data for a chart has come.
  heard() {
    if (boxes().every((box) => !box.foreseen)) {
      clearTimeout(waiting);
      unsay();
    }
    clearTimeout(asking);
    asking = setTimeout(ask, 400);
  },
};

for (const name of ["pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(name, () => (held = name === "pointerdown"), true);
}
new MutationObserver((changes) => {
  const moved = changes.find(({ target }) => target.matches(ALPHA));
  if (moved) foresee(Number(moved.target.getAttribute("aria-valuetext")));
}).observe(document, { subtree: true, attributes: true, attributeFilter: ["aria-valuetext"] });
