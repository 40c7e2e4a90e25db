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
"""
