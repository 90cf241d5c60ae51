// Draws the charts and the trades table of a report.
(() => {
  const NONE = "–";

  // A number with so many decimals, as the tables of the page write it.
  function number(value, digits) {
    if (value === null || value === undefined) return NONE;
    const told = Math.abs(value).toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
    return value < 0 && /[1-9]/.test(told) ? `−${told}` : told;
  }

  // Prices have the decimals of their tick, quantities those of their lot.
  const increments = (kind) => (value, row) => {
    const digits = data.decimals[kind][row];
    if (digits !== null) return number(value, digits);
    return value === null ? NONE : value.toLocaleString("en-US", { maximumSignificantDigits: 9 });
  };
  const [price, quantity] = [increments("tick"), increments("lot")];
  const instant = (text) => text.slice(0, 16).replace("T", " ");
  const tone = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");

  chart("chart-equity", () => equityFigure(data.equity, data.quote));

  chart("chart-r", () => {
    const { width, from, count } = data.r;
    return {
      data: [{
        type: "bar", x: from.map((edge) => edge + width / 2), y: count, width,
        marker: { color: from.map((edge) => colour(edge < 0 ? "down" : "up")), line: { color: colour("ground"), width: 1 } },
        customdata: from.map((edge) => [edge, edge + width]),
        hovertemplate: "%{customdata[0]:.4~g} to %{customdata[1]:.4~g} R: %{y} trades<extra></extra>",
      }],
      layout: { xaxis: axis({ title: { text: "R" } }), yaxis: axis({ title: { text: "trades" } }), bargap: 0 },
    };
  });

  chart("chart-hours", () => {
    const days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const mean = days.map(() => Array(24).fill(null));
    const count = days.map(() => Array(24).fill(""));
    let most = 0;
    for (const row of data.hours) {
      mean[row.weekday - 1][row.hour] = row.mean_r;
      count[row.weekday - 1][row.hour] = row.trades;
      most = Math.max(most, Math.abs(row.mean_r));
    }
    const wide = document.getElementById("chart-hours").clientWidth > 640;
    return {
      data: [{
        type: "heatmap", x: [...Array(24).keys()], y: days, z: mean, text: count, zmin: -most, zmax: most,
        colorscale: [[0, colour("down")], [0.5, colour("panel")], [1, colour("up")]], xgap: 1, ygap: 1,
        texttemplate: wide ? "%{text}" : "", textfont: { size: 10 }, hoverongaps: false,
        colorbar: { title: { text: "mean R" }, thickness: 10, outlinewidth: 0 },
        hovertemplate: "%{y} %{x}:00 UTC<br>%{text} trades, mean %{z:.2f} R<extra></extra>",
      }],
      layout: {
        xaxis: axis({ title: { text: "hour (UTC)" }, showgrid: false, dtick: wide ? 1 : 4 }),
        yaxis: axis({ autorange: "reversed", showgrid: false }),
      },
    };
  });

  const PATHS = { shuffled: ["other", "dot"], resampled: ["up", "solid"] };

  function percentiles(id, field, methods, title, format) {
    chart(id, () => {
      const lines = methods.map((method) => {
        const [ink, dash] = PATHS[method];
        const rows = data.monte_carlo.filter((row) => row.method === method && row[field] !== null);
        return {
          x: rows.map((row) => row.percentile), y: rows.map((row) => row[field]), name: method,
          mode: "lines+markers", line: { color: colour(ink), dash },
          hovertemplate: `%{x}th percentile: %{y:${format}}<extra>${method}</extra>`,
        };
      });
      const actual = data.monte_carlo.find((row) => row.method === "actual");
      if (actual && actual[field] !== null) {
        lines.push({
          x: [0, 100], y: [actual[field], actual[field]], name: "as they came", mode: "lines",
          line: { color: colour("down"), dash: "dash" }, hovertemplate: `%{y:${format}}<extra>as they came</extra>`,
        });
      }
      return {
        data: lines,
        layout: {
          showlegend: true,
          legend: { orientation: "h", y: -0.25 },
          xaxis: axis({ title: { text: "percentile of paths" }, range: [0, 100] }),
          yaxis: axis({ title: { text: title }, tickformat: format }),
        },
      };
    });
  }
  // In another order the same trades leave the same.
  percentiles("chart-final", "final_equity", ["resampled"], `final equity, ${plain(data.quote)}`, ",.0f");
  percentiles("chart-depth", "max_drawdown", ["shuffled", "resampled"], "deepest drawdown", ".1%");

  chart("chart-null", () => {
    const { width, from, count } = data.null.histogram;
    const ours = data.null.value;
    const line = { type: "line", x0: ours, x1: ours, y0: 0, y1: 1, yref: "paper", line: { color: colour("down"), width: 2 } };
    const label = { x: ours, y: 1, yref: "paper", yanchor: "bottom", text: "this result", showarrow: false };
    return {
      data: [{
        type: "bar", x: from.map((edge) => edge + width / 2), y: count, width,
        marker: { color: colour("other"), line: { color: colour("ground"), width: 1 } },
        hovertemplate: "%{x:.3g}: %{y} null markets<extra></extra>",
      }],
      layout: {
        xaxis: axis({ title: { text: plain(data.null.label) } }),
        yaxis: axis({ title: { text: "null markets" } }),
        shapes: ours === null ? [] : [line],
        annotations: ours === null ? [] : [{ ...label, font: { color: colour("down") } }],
      },
    };
  });

  const closeups = new Map(data.closeups.map((one) => [one.trade_id, one]));
  const rowOf = new Map(data.trades.trade_id.map((number, row) => [number, row]));
  let shown = data.closeups.length ? data.closeups[0].trade_id : null;

  // The zone of the shown trade, from its creation, or from the first candle, to the exit.
  function band({ lo, hi, since }, first) {
    const left = Date.parse(data.trades.exit_ts[rowOf.get(shown)]);
    return {
      type: "rect", x0: Math.max(since, first), x1: left, y0: lo, y1: hi, layer: "below",
      fillcolor: colour("other"), opacity: 0.18, line: { width: 0 },
    };
  }

  function candles() {
    const one = closeups.get(shown);
    const row = rowOf.get(shown);
    const { start, step, at, open, high, low, close } = one.candles;
    const opens = open.map((_, place) => start + step * (at ? at[place] : place));
    const ends = opens.length ? [opens[0], opens[opens.length - 1] + step] : [];
    const level = (value, name, ink, dash) => ({
      x: ends, y: [value, value], name, mode: "lines", line: { color: colour(ink), width: 1, dash },
      hovertemplate: `${name} ${price(value, row)}<extra></extra>`,
    });
    const marks = { ENTRY: data.trades.side[row] === "LONG" ? "triangle-up" : "triangle-down", STOP: "x", TAKE_PROFIT: "circle", EXIT: "square" };
    const fills = one.fills.map(([ms, role, value, filled]) => ({
      x: [ms], y: [value], name: role.toLowerCase().replace("_", " "), mode: "markers",
      marker: { symbol: marks[role], size: 11, color: colour(role === "ENTRY" ? "other" : "ink"), line: { color: colour("ground"), width: 1 } },
      hovertemplate: `%{x|%Y-%m-%d %H:%M}<br>${quantity(filled, row)} at ${price(value, row)}<extra>${role}</extra>`,
    }));
    const bars = {
      type: "candlestick", x: opens.map((ms) => ms + step / 2), open, high, low, close, name: "price",
      increasing: { line: { color: colour("up"), width: 1 } }, decreasing: { line: { color: colour("down"), width: 1 } },
    };
    return {
      data: [
        bars,
        level(data.trades.stop[row], "stop", "severe", "dash"),
        level(data.trades.entry[row], "entry", "other", "dot"),
        ...one.targets.map((value, place) => level(value, `target ${place + 1}`, "good", "dash")),
        ...fills,
      ],
      layout: {
        shapes: one.zone && ends.length ? [band(one.zone, ends[0])] : [],
        xaxis: axis({ type: "date", rangeslider: { visible: false } }), yaxis: axis({ side: "right" }),
      },
    };
  }

  function tell() {
    const row = rowOf.get(shown);
    const trades = data.trades;
    const { candles: { bars }, targets, zone } = closeups.get(shown);
    const stood = zone ? ` in the ${zone.kind} ${price(zone.lo, row)} to ${price(zone.hi, row)}` : "";
    const told = `Trade ${shown}: ${trades.side[row]} ${trades.symbol[row]} ${trades.tf[row]}${stood}, entered ` +
      `${instant(trades.entry_ts[row])} at ${price(trades.entry[row], row)}, stop ${price(trades.stop[row], row)}, left ` +
      `${instant(trades.exit_ts[row])} at ${price(trades.exit[row], row)} by ${trades.left_by[row]}: ${number(trades.r[row], 2)} R; ` +
      `${trades.targets_taken[row]} of ${targets.length} targets taken.` +
      (bars > 1 ? ` Each candle is ${bars} bars.` : "");
    document.getElementById("closeup-text").textContent = told;
    document.getElementById("chart-trade").setAttribute("aria-label", `Candles around the trade. ${told}`);
    document.getElementById("closeup-choice").value = String(shown);
  }

  let drawTrade = () => {};
  function show(number, scroll) {
    shown = number;
    tell();
    drawTrade();
    if (scroll) document.getElementById("closeups").scrollIntoView();
  }

  if (shown !== null) {
    const choice = document.getElementById("closeup-choice");
    const numbers = [...closeups.keys()];
    for (const one of numbers) {
      const row = rowOf.get(one);
      const option = new Option(
        `${one} · ${instant(data.trades.entry_ts[row])} · ${data.trades.symbol[row]} ${data.trades.side[row]} · ${number(data.trades.r[row], 2)} R`,
        String(one),
      );
      choice.add(option);
    }
    const move = (by) => show(numbers[(numbers.indexOf(shown) + by + numbers.length) % numbers.length], false);
    choice.addEventListener("change", () => show(Number(choice.value), false));
    document.getElementById("closeup-before").addEventListener("click", () => move(-1));
    document.getElementById("closeup-after").addEventListener("click", () => move(1));
    tell();
    chart("chart-trade", candles);
    drawTrade = drawn[drawn.length - 1];
  }

  const COLUMNS = [
    ["trade_id", "#", (value) => String(value), true],
    ["symbol", "symbol"],
    ["tf", "tf"],
    ["side", "side"],
    ["entry_ts", "entered (UTC)", instant],
    ["entry", "entry", price, true],
    ["stop", "stop", price, true],
    ["exit_ts", "left (UTC)", instant],
    ["exit", "exit", price, true],
    ["left_by", "by"],
    ["r", "R", (value) => number(value, 2), true],
    ["pnl", "PnL", (value) => number(value, 2), true],
    ["fees", "fees", (value) => number(value, 2), true],
    ["funding", "funding", (value) => number(value, 2), true],
    ["mfe_r", "MFE R", (value) => number(value, 2), true],
    ["mae_r", "MAE R", (value) => number(value, 2), true],
    ["qty", "quantity", quantity, true],
    ["regime", "regime"],
    ["zone_kind", "zone"],
    ["zone_strength", "strength", (value) => (value === null ? NONE : String(value)), true],
    ["guesses", "guesses", (value) => String(value), true],
  ];
  const PAGE = 50;

  function tradesTable(body, head) {
    let order = data.trades.trade_id.map((_, row) => row);
    let first = 0;
    let sorted = { column: "trade_id", ascending: true };

    function cell(row, [column, , format, isNumber]) {
      const value = data.trades[column][row];
      const made = document.createElement("td");
      made.textContent = value === null ? NONE : format ? format(value, row) : value;
      made.className = [isNumber ? "number" : "", column === "r" || column === "pnl" ? tone(value) : ""].join(" ").trim();
      return made;
    }

    function picture(row) {
      const made = document.createElement("td");
      const trade = data.trades.trade_id[row];
      if (closeups.has(trade)) {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = "chart";
        button.setAttribute("aria-label", `Chart of trade ${trade}`);
        button.addEventListener("click", () => show(trade, true));
        made.append(button);
      }
      return made;
    }

    function fill() {
      const rows = order.slice(first, first + PAGE).map((row) => {
        const made = document.createElement("tr");
        made.append(...COLUMNS.map((column) => cell(row, column)), picture(row));
        return made;
      });
      body.replaceChildren(...rows);
      const last = Math.min(first + PAGE, order.length);
      document.getElementById("trades-place").textContent = `${first + 1} to ${last} of ${order.length}`;
      document.getElementById("trades-before").disabled = first === 0;
      document.getElementById("trades-after").disabled = last >= order.length;
      for (const heading of head.querySelectorAll("th[data-column]")) {
        const is = heading.dataset.column === sorted.column;
        heading.setAttribute("aria-sort", is ? (sorted.ascending ? "ascending" : "descending") : "none");
        heading.firstChild.textContent = heading.dataset.label + (is ? (sorted.ascending ? " ▲" : " ▼") : "");
      }
    }

    function sort(column) {
      const values = data.trades[column];
      const ascending = sorted.column === column ? !sorted.ascending : true;
      sorted = { column, ascending };
      const sign = ascending ? 1 : -1;
      // What does not exist comes last either way.
      order.sort((one, other) => {
        const [a, b] = [values[one], values[other]];
        if (a === null || b === null) return (a === null) - (b === null) || one - other;
        return a < b ? -sign : a > b ? sign : one - other;
      });
      first = 0;
      fill();
    }

    const headings = COLUMNS.map(([column, label, , isNumber]) => {
      const heading = document.createElement("th");
      heading.scope = "col";
      heading.className = isNumber ? "number" : "";
      heading.dataset.column = column;
      heading.dataset.label = label;
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => sort(column));
      heading.append(button);
      return heading;
    });
    const last = document.createElement("th");
    last.scope = "col";
    last.textContent = "chart";
    head.append(...headings, last);
    document.getElementById("trades-before").addEventListener("click", () => { first -= PAGE; fill(); });
    document.getElementById("trades-after").addEventListener("click", () => { first += PAGE; fill(); });
    fill();
  }

  const body = document.getElementById("trades-body");
  if (body) tradesTable(body, document.getElementById("trades-head"));
})();
