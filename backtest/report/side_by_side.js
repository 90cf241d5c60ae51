// Draws the curves of a comparison from the data that the page carries. Nothing is fetched.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const CONFIG = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };
  const INKS = ["up", "down", "other", "good", "severe", "ink"];
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const drawn = []; // what has to be drawn again when light becomes dark

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  // Titles of charts know a little HTML: a name has none.
  const plain = (name) => name.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  const axis = (more) => ({
    gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), automargin: true, ...more,
  });

  function chart(id, lines, first, title) {
    const place = document.getElementById(id);
    if (!place) return;
    const draw = () => {
      const traces = lines.map((one, at) => {
        // A result has the same colour in both charts.
        const number = at + first;
        const ink = colour(INKS[number % INKS.length]);
        const dash = DASHES[Math.floor(number / INKS.length) % DASHES.length];
        return {
          x: one.days, y: one.values, name: plain(one.name), mode: one.days.length > 1 ? "lines" : "markers",
          line: { color: ink, width: 1.5, dash }, marker: { color: ink },
          hovertemplate: `%{x|%Y-%m-%d}: %{y:.2%}<extra>${plain(one.name)}</extra>`,
        };
      });
      Plotly.react(place, traces, {
        paper_bgcolor: colour("ground"),
        plot_bgcolor: colour("ground"),
        font: { color: colour("ink"), family: "system-ui, sans-serif", size: 12 },
        hoverlabel: { bgcolor: colour("panel"), bordercolor: colour("line"), font: { color: colour("ink") } },
        margin: { l: 10, r: 10, t: 32, b: 30 },
        showlegend: true,
        legend: { orientation: "h", y: 1.12 },
        hovermode: "x unified",
        xaxis: axis({ type: "date" }),
        yaxis: axis({ tickformat: ".1%", title: { text: title } }),
      }, CONFIG);
    };
    drawn.push(draw);
    draw();
  }

  chart("chart-curves", data.curves, 0, "return since the start");
  chart("chart-ahead", data.ahead, 1, `ahead of ${plain(data.first)}`);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach((draw) => draw()));
})();
