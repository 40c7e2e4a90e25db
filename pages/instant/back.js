// One step back for each thing that the reader did. Streamlit makes a step of every value that a page writes into its
// address, the first of them under the address of the page before.

const { pushState, replaceState } = history;
let acted = false;
let here = pick(location);

function pick({ pathname, search }) {
  return { pathname, search };
}

for (const name of ["pointerdown", "keydown", "click"]) addEventListener(name, () => (acted = true), true);
// Slides are turned in a frame of their own.
addEventListener("message", ({ data }) => (acted ||= data?.deck === "slide"));

history.pushState = function (...given) {
  (acted ? pushState : replaceState).apply(this, given);
  acted = false;
  here = pick(location);
};

history.replaceState = function (...given) {
  replaceState.apply(this, given);
  here = pick(location);
};

// Streamlit runs the page of the address again, with what controls.is_return says. Lessons and slides hold more than
// that, some of it in the browser: they are loaded anew.
addEventListener("popstate", (event) => {
  const before = here;
  here = pick(location);
  if (before.pathname !== here.pathname || before.search === here.search) return;
  if (!/\/(learn|present)$/.test(here.pathname)) return;
  event.stopImmediatePropagation();
  location.reload();
});
