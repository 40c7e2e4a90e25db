// Answers a control at once: what each of its values shows was asked for while nothing else was to do. A chart of the
// page says what to ask for. What the server sends is drawn in any case: a moment later, and as a rule the same.

const PATIENCE_MS = 1500;
let address, answer, asking, waiting, held;

const boxes = () => [...document.querySelectorAll(".aiq-chart")].filter((box) => box.asked);
const offered = () => boxes().find((box) => box.asked.foresight)?.asked.foresight;

async function ask() {
  const asked = offered();
  if (asked === undefined || asked === address) return;
  [address, answer] = [asked, undefined];
  const found = await fetch(new URL(`instant/${asked}`, document.baseURI));
  if (found.ok && asked === address) answer = await found.json();
}

// The place of what a control now shows among its values: a slider's hundredth, a radio button in its group.
function place(control) {
  const radios = [...control.querySelectorAll('[role="radio"]')];
  if (radios.length) return radios.findIndex((radio) => radio.ariaChecked === "true");
  return Math.round(100 * control.ariaValueText);
}

function foresee(changes) {
  // Not where the server has said meanwhile that something else counts, and only what the reader's hand is on.
  if (!answer || offered() !== address) return;
  const control = changes
    .map(({ target }) => target.closest('[role="radiogroup"]') ?? target)
    .find((control) => control.ariaLabel === answer.control && control.contains(document.activeElement));
  const shown = control && answer.shown[answer.at[place(control)]];
  if (!shown) return;
  say(shown.sentence);
  for (const chart of shown.charts) {
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
  clearTimeout(waiting);
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

// The server's data for a chart has come. True where what was foreseen stays: the server is still on its way there.
instant.heard = (box) => {
  if (same(box.wanted, box.asked)) box.foreseen = false;
  if (offered() !== address || boxes().every((box) => !box.foreseen)) settle();
  clearTimeout(asking);
  asking = setTimeout(ask, 400);
  return box.foreseen;
};

for (const name of ["pointerdown", "pointerup", "pointercancel"]) {
  addEventListener(name, () => (held = name === "pointerdown"), true);
}
new MutationObserver(foresee).observe(document, {
  subtree: true,
  attributes: true,
  attributeFilter: ["aria-valuetext", "aria-checked"],
});
