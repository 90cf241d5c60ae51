// Draws the curves of a comparison.
(() => {
  const INKS = ["up", "down", "other", "good", "severe", "ink"];
  const DASHES = ["solid", "dash", "dot", "dashdot"];

  function curves(id, lines, first, title) {
    chart(id, () => ({
      data: lines.map((one, at) => {
        // A result has the same colour in both charts.
        const number = at + first;
        const ink = colour(INKS[number % INKS.length]);
        const dash = DASHES[Math.floor(number / INKS.length) % DASHES.length];
        return {
          x: one.days, y: one.values, name: plain(one.name), mode: one.days.length > 1 ? "lines" : "markers",
          line: { color: ink, width: 1.5, dash }, marker: { color: ink },
          hovertemplate: `%{x|%Y-%m-%d}: %{y:.2%}<extra>${plain(one.name)}</extra>`,
        };
      }),
      layout: {
        showlegend: true,
        legend: { orientation: "h", y: 1.12 },
        hovermode: "x unified",
        xaxis: axis({ type: "date" }),
        yaxis: axis({ tickformat: ".1%", title: { text: title } }),
      },
    }));
  }

  curves("chart-curves", data.curves, 0, "return since the start");
  curves("chart-ahead", data.ahead, 1, `ahead of ${plain(data.first)}`);
})();
