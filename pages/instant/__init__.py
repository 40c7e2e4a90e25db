"""What the reader sees before the server has answered. Without it (AIQ_INSTANT=0) the app is whole, and slower.

- The first answer (answer.py, head.html, body.html): Streamlit's page takes a second to start before it asks for
  anything. Meanwhile a visitor of Explore reads the sentence and the numbers, which stand in the server's first answer,
  and sees the roofline, which is drawn early and which the page takes over as it is; a visitor of another page reads
  what it is for. What goes wrong here costs nothing but that second.
- Foresight (foresight.js): what each alpha of Explore and each width of the Lab's layer will show is asked for while
  nothing else is to do, and drawn when the control moves. What the server sends then is right in any case.
- Back and forward (back.js) show what their address says.

serve.py puts it before Streamlit's server. Of the pages it knows `ahead.py`, where a page says what it will show; no
page imports it. A page names in `foresight=` what to ask for, and chart.js asks `window.aiqInstant` where that is.

What it relies on inside Streamlit, seen with 1.67. Each is held by a test, in tests/test_instant.py or in test_instant,
test_first_screen, test_foresight or test_tour of tests/browser; run them all before another Streamlit is admitted.

- `static/index.html` of the package is the page of every address: `<head>`, `<body>` and `<div id="root">` stand in it
  once, and its files are addressed from the page (`./static/…`).
- `st.App` asks our routes before its own, also at the addresses of pages and below `app/static/`; in front of all of
  them stands `server.baseUrlPath`.
- `st.cache_resource` works where no script runs, and `st.get_option("theme.dark.…")` gives the configuration's colours.
- In serve.py, with it or without: `PagesManager.uses_pages_directory` says whether a folder named pages is Streamlit's
  old way with pages.
- `localStorage["stActiveTheme-PATH-v2"]` holds the theme that a visitor chose, with Light or Dark in its name.
- Test ids: `stMain`, and in it `stAlert` and `stException`. The text of a heading is `[data-heading-text]`, what is
  coloured in it `.stMarkdownColoredText`, a child of that; React does not mind that it is hidden, with ours before it.
- Controls say at once what they hold: a slider its number in `aria-valuetext`, a segmented control, a `radiogroup`, in
  the `aria-checked` of its `radio`s, which are in order. Each says its label in `aria-label` and has the focus in it.
- A slider asks the server when the pointer lets it go.
- A component's element is in the page's own DOM (`isolate_styles=False`) and stays from run to run, also an element
  that took its place; its script is called again when its data change.
- The address changes by `history.pushState` and `replaceState`, and Streamlit hears `popstate` after us, on the window.
- The sidebar and the header stand above `z-index: 1`; body.html repeats the page's sizes and st.metric's colours.
"""
