"use strict";
for (const chart of document.querySelectorAll("figure.chart")) {
  const data = JSON.parse(chart.querySelector("script").textContent);
  const plot = chart.querySelector(".plot"), cursor = chart.querySelector(".cursor"), output = chart.querySelector("output");
  const values = [...chart.querySelectorAll(".keys .value")], rest = values.map((value) => value.textContent);
  const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const duration = (seconds) => {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]])
      if (seconds >= size) return `${number.format(Number((seconds / size).toPrecision(3)))} ${unit}`;
    return `${number.format(seconds * 1000)} ms`;
  };
  const last = (sorted, limit) => {
    let low = 0, high = sorted.length;
    while (low < high) { const middle = (low + high) >> 1; if (sorted[middle] <= limit) low = middle + 1; else high = middle; }
    return low - 1;
  };
  const atTime = (place) => {
    const x = data.x, time = x[0] + place * (x[x.length - 1] - x[0]), step = Math.min(Math.max(last(x, time), 0), x.length - 2);
    const shown = (value) => (value === null ? "–" : number.format(value));
    return [data.labels ? data.labels[step] : `at ${number.format(x[step])} ${data.unit}`, data.series.map((series) => shown(series[step]))];
  };
  const atShare = (place) => {
    const inside = (place - data.strip) / (1 - data.strip);
    const limit = inside <= 0 ? data.first : data.first * (data.last / data.first) ** inside;
    const share = (series) => { const point = last(series.x, limit); return point < 0 ? 0 : series.y[point]; };
    return [`within ${duration(limit)}`, data.series.map((series) => `${share(series).toFixed(1)} %`)];
  };
  let place = 0.5;
  const show = (where) => {
    place = Math.min(Math.max(where, 0), 1);
    const [title, texts] = (data.kind === "time" ? atTime : atShare)(place);
    output.textContent = title;
    cursor.hidden = false;
    cursor.style.left = `${100 * place}%`;
    values.forEach((value, index) => { value.textContent = texts[index]; });
  };
  const leave = () => {
    output.textContent = "";
    cursor.hidden = true;
    values.forEach((value, index) => { value.textContent = rest[index]; });
  };
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    show((event.clientX - box.left) / box.width);
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("blur", leave);
  plot.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -0.01, ArrowRight: 0.01 }[event.key];
    if (event.key === "Escape") leave();
    if (move) { event.preventDefault(); show(place + move); }
  });
}
