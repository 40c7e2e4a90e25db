// Back and forward load the address that they lead to. Streamlit would run the page again with all that the session
// holds, which knows nothing of the way back; between pages that is right.

let here = pick(location);

function pick({ pathname, search }) {
  return { pathname, search };
}

for (const name of ["pushState", "replaceState"]) {
  const change = history[name];
  history[name] = function (...given) {
    change.apply(this, given);
    here = pick(location);
  };
}

addEventListener("popstate", (event) => {
  const before = here;
  here = pick(location);
  if (before.pathname !== here.pathname || before.search === here.search) return;
  event.stopImmediatePropagation();
  location.reload();
});
