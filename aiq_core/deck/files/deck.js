/* One slide at a time, by key, button, swipe or address; charts fit their box. The app's page speaks to it by messages. */
"use strict";
(() => {
  const root = document.documentElement;
  const slides = [...document.querySelectorAll(".slide")];
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const inApp = window.parent !== window;
  /* A chart is designed for this many pixels at a projector's type size, and drawn larger from there. */
  const DESIGN = { width: 720, height: 440, least: 0.65 };
  let current = 0;
  let printing = false;

  const asked = () => {
    try { return inApp ? JSON.parse(window.name || "{}") : { slide: Number(location.hash.slice(1)) || 1 }; }
    catch { return {}; }
  };
  const isDark = () => !printing && (root.dataset.theme
    ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);

  function draw(plot) {
    const figure = figures[plot.dataset.figure];
    const box = plot.parentElement.getBoundingClientRect();
    if (!box.width || !box.height) return;
    const scale = Math.max(DESIGN.least, Math.min(box.width / DESIGN.width, box.height / DESIGN.height));
    const theme = isDark() ? "dark" : "light";
    const state = [theme, box.width, box.height].join();
    if (plot.dataset.state === state) return;
    plot.dataset.state = state;
    plot.style.transform = `scale(${scale})`;
    const { data, layout } = structuredClone(figure[theme]);
    Plotly.react(plot, data, { ...layout, width: box.width / scale, height: box.height / scale }, figure.config);
  }
  const plots = [...document.querySelectorAll(".plot")];
  const drawAll = () => { if (window.Plotly) plots.forEach(draw); };
  /* The slide on the screen first, the others while nobody waits. */
  function drawInTurn() {
    const here = slides[current].querySelector(".plot");
    const order = [...plots.filter((plot) => plot === here), ...plots.filter((plot) => plot !== here)];
    const next = () => {
      const plot = order.shift();
      if (!plot) { root.classList.add("drawn"); return; }
      draw(plot);
      setTimeout(next);
    };
    next();
  }

  function show(index, tell = true) {
    current = Math.max(0, Math.min(slides.length - 1, index));
    slides.forEach((slide, place) => {
      slide.classList.toggle("current", place === current);
      slide.inert = place !== current;
    });
    document.getElementById("place").textContent = `${current + 1} / ${slides.length}`;
    document.getElementById("progress").style.width = `${(100 * (current + 1)) / slides.length}%`;
    document.getElementById("back").disabled = current === 0;
    document.getElementById("next").disabled = current === slides.length - 1;
    slides[current].scrollTop = 0;
    const plot = slides[current].querySelector(".plot");
    if (plot && window.Plotly) draw(plot);
    if (!tell) return;
    if (inApp) window.parent.postMessage({ deck: "slide", slide: current + 1 }, "*");
    else history.replaceState(null, "", current ? `#${current + 1}` : "#");
  }

  const KEYS = {
    ArrowRight: () => show(current + 1), PageDown: () => show(current + 1),
    ArrowLeft: () => show(current - 1), PageUp: () => show(current - 1),
    Home: () => show(0), End: () => show(slides.length - 1),
    f: fullScreen, t: switchTheme, p: () => window.print(),
  };
  function pressed(key, shift) {
    if (key === " ") show(current + (shift ? -1 : 1));
    else if (KEYS[key]) KEYS[key]();
    else return false;
    return true;
  }

  function switchTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    drawAll();
  }
  function fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if (root.requestFullscreen) root.requestFullscreen().catch(() => {});
  }
  function save(kind) {
    const [id, type] = kind === "csv" ? ["table", "text/csv"] : ["data", "application/json"];
    const content = JSON.parse(document.getElementById(id).textContent);
    const text = kind === "csv" ? content : JSON.stringify(content, null, 2);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = `${document.getElementById("table").dataset.name}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }
  function forPrint(on) {
    printing = on;
    if (on) root.classList.remove("ready");
    else root.classList.add("ready");
    slides.forEach((slide, place) => { slide.inert = !on && place !== current; });
    drawAll();
  }

  document.addEventListener("keydown", (event) => {
    const onButton = event.target.closest("button") && (event.key === " " || event.key === "Enter");
    if (event.ctrlKey || event.metaKey || event.altKey || onButton) return;
    if (pressed(event.key, event.shiftKey)) event.preventDefault();
  });
  for (const [id, action] of Object.entries({
    back: () => show(current - 1), next: () => show(current + 1),
    theme: switchTheme, full: fullScreen, print: () => window.print(),
  })) document.getElementById(id).addEventListener("click", action);
  document.querySelectorAll("[data-save]").forEach((button) => {
    button.addEventListener("click", () => save(button.dataset.save));
  });

  let touch = null;
  document.addEventListener("touchstart", (event) => { touch = event.changedTouches[0]; }, { passive: true });
  document.addEventListener("touchend", (event) => {
    const x = event.changedTouches[0].clientX - touch.clientX;
    const y = event.changedTouches[0].clientY - touch.clientY;
    if (Math.abs(x) > 60 && Math.abs(x) > 2 * Math.abs(y)) show(current + (x < 0 ? 1 : -1));
  }, { passive: true });

  addEventListener("hashchange", () => { if (!inApp) show(asked().slide - 1, false); });
  addEventListener("message", (event) => {
    if (event.source !== window.parent || !inApp) return;
    if (event.data?.deck === "key") pressed(event.data.key, event.data.shift);
    if (event.data?.deck === "plotly" && !window.Plotly) {
      document.body.append(Object.assign(document.createElement("script"), { textContent: event.data.script }));
      drawDeck();
    }
  });
  addEventListener("beforeprint", () => forPrint(true));
  addEventListener("afterprint", () => forPrint(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  new ResizeObserver(() => { if (!printing) drawAll(); }).observe(document.getElementById("deck"));

  const start = asked();
  if (start.theme) root.dataset.theme = start.theme;
  if (!root.requestFullscreen) document.getElementById("full").hidden = true;
  root.classList.add("ready");
  show((start.slide || 1) - 1, false);
  window.drawDeck = () => {
    if (window.Plotly) document.fonts.ready.then(drawInTurn);
    else if (inApp) window.parent.postMessage({ deck: "ready" }, "*");
  };
})();
