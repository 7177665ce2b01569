// The game of the page "Try to cheat": two groups, KL, group 2 honest. The library is the measure:
// tests/site/test_try_to_cheat.py compares every number with it.
"use strict";
const tryToCheat = (() => {
  const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
  const mean = (policy, rewards) => sum(policy.map((p, x) => p * rewards[x]));

  // The model p that maximises <scores, p> - lam KL(p || q), and that maximum. Weights are taken
  // relative to the greatest, so that some may underflow to 0 but never all of them.
  function solve(scores, { reference, lam }) {
    const logits = scores.map((s, x) => Math.log(reference[x]) + s / lam);
    const greatest = Math.max(...logits);
    const weights = logits.map((l) => Math.exp(l - greatest));
    const total = sum(weights);
    return { policy: weights.map((w) => w / total), value: lam * (greatest + Math.log(total)) };
  }

  // What follows when group 1 reports `report`: the model, and what each group gets and pays.
  function outcome(game, report, paid) {
    const said = [report, { rewards: game.rewards[1], size: game.sizes[1] }];
    const weighted = said.map(({ rewards, size }) => rewards.map((r) => size * r));
    const { policy, value } = solve(weighted[0].map((s, x) => s + weighted[1][x]), game);
    const worths = game.sizes.map((size, i) => size * mean(policy, game.rewards[i]));
    const payments = said.map(({ rewards, size }, i) => {
      const others = value - size * mean(policy, rewards); // what the others have with group i
      return paid ? solve(weighted[1 - i], game).value - others : 0;
    });
    return { policy, worths, payments, utilities: worths.map((w, i) => w - payments[i]) };
  }

  const truth = (game) => ({ rewards: game.rewards[0], size: game.sizes[0] });

  // The best of the truth, of all reports that say 1 from some answer upwards and 0 below it with
  // the largest size (one of them is the best there is without payments), and of 2000 at random.
  function best(game, paid, largest) {
    const own = game.rewards[0];
    let state = 1;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    const reports = [truth(game)];
    for (const least of new Set(own))
      reports.push({ rewards: own.map((r) => (r >= least ? 1 : 0)), size: largest });
    for (let k = 0; k < 2000; k++)
      reports.push({ rewards: own.map(random), size: 1 + Math.floor(random() * largest) });
    const utility = (report) => outcome(game, report, paid).utilities[0];
    const found = reports.reduce((a, b) => (utility(b) > utility(a) + 1e-12 ? b : a));
    return { ...found, tried: reports.length };
  }

  const inWords = (x, places = 2) => x.toFixed(places).replace(/^-(?=0\.?0*$)/, "").replace("-", "−");

  function verdict(honest, now, isTruth, paid) {
    const gain = now.utilities[0] - honest.utilities[0];
    const other = now.utilities[1] - honest.utilities[1];
    const much = Math.abs(gain) < 0.005 ? "less than 0.01" : inWords(Math.abs(gain));
    if (isTruth) return "This is the truth. Move a slider to report something else.";
    if (Math.abs(gain) < 1e-9) return "The same as the truth: nothing gained, nothing lost.";
    if (gain < 0) return `You lose ${much}. The truth would have been better.`;
    const cost = other < -0.005 ? ` Group 2 loses ${inWords(-other)}.` : "";
    return `Cheating pays: you gain ${much}.${cost}${paid ? " That should not happen!" : ""}`;
  }

  function play(root) {
    const game = JSON.parse(root.querySelector("script").textContent);
    const sliders = [...root.querySelectorAll("[name=reward]")];
    const size = root.querySelector("[name=size]");
    const paid = root.querySelector("[name=paid]");
    const honest = truth(game);

    const report = () => ({ rewards: sliders.map((s) => +s.value), size: +size.value });
    const set = ({ rewards, size: members }) => {
      sliders.forEach((slider, x) => (slider.value = rewards[x]));
      size.value = members;
    };

    function show(remark = "") {
      const said = report();
      const isTruth = said.size === honest.size && said.rewards.every((r, x) => r === honest.rewards[x]);
      const [before, now] = [honest, said].map((each) => outcome(game, each, paid.checked));
      root.querySelectorAll("data").forEach((cell) => {
        const [what, which, when] = cell.dataset.shown.split(" ");
        const [a, b] = [before[what][which], now[what][which]];
        cell.value = { truth: a, now: b, change: b - a }[when];
        const sign = when === "change" && +cell.value > 0.005 ? "+" : "";
        cell.textContent = what === "policy" ? `${inWords(100 * cell.value, 0)} %` : sign + inWords(+cell.value);
      });
      root.querySelectorAll("[data-bar]").forEach((bar) => {
        const [when, x] = bar.dataset.bar.split(" ");
        bar.style.width = `${100 * { truth: before, now }[when].policy[x]}%`;
      });
      [...sliders, size].forEach((slider) => (slider.nextElementSibling.value = slider === size ? size.value : inWords(+slider.value)));
      root.querySelector("[role=status]").textContent =
        remark + verdict(before, now, isTruth, paid.checked);
      root.dataset.gain = Math.sign(Math.round(1e9 * (now.utilities[0] - before.utilities[0])));
    }

    root.addEventListener("input", () => show());
    root.querySelector("[name=truth]").addEventListener("click", () => {
      set(honest);
      show();
    });
    root.querySelector("[name=best]").addEventListener("click", () => {
      const found = best(game, paid.checked, +size.max);
      set(found);
      show(`The best of ${found.tried} reports tried. `);
    });
    set(honest);
    paid.checked = false;
    root.classList.add("cheat-ready");
    show();
  }

  document.querySelectorAll(".cheat").forEach(play);
  return { solve, outcome, best };
})();
