(function () {
  "use strict";
  var box = document.querySelector("form.search"), input = document.getElementById("search");
  var status = document.getElementById("found");
  var entries = Array.prototype.slice.call(document.querySelectorAll("[data-search]"));
  var links = {};
  document.querySelectorAll("nav.side li[data-for]").forEach(function (item) { links[item.dataset.for] = item; });
  box.hidden = false;
  function search() {
    var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), count = 0;
    entries.forEach(function (entry) {
      var shown = words.every(function (word) { return entry.dataset.search.indexOf(word) >= 0; });
      entry.hidden = !shown;
      if (links[entry.id]) { links[entry.id].hidden = !shown; }
      count += shown ? 1 : 0;
    });
    document.querySelectorAll("[data-group]").forEach(function (group) {
      group.hidden = words.length > 0 && !group.querySelector("[data-search]:not([hidden])");
    });
    document.querySelectorAll("[data-extra]").forEach(function (part) { part.hidden = words.length > 0; });
    status.textContent = words.length ? count + (count === 1 ? " match" : " matches") : "";
  }
  function reveal() {
    var target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) { return; }
    if (input.value && target.closest("[hidden]")) { input.value = ""; search(); target.scrollIntoView(); }
    for (var part = target; part; part = part.parentElement) { if (part.tagName === "DETAILS") { part.open = true; } }
  }
  input.addEventListener("input", search);
  box.addEventListener("submit", function (event) { event.preventDefault(); });
  window.addEventListener("hashchange", reveal);
  document.addEventListener("keydown", function (event) {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) { event.preventDefault(); input.focus(); }
    if (event.key === "Escape" && document.activeElement === input) { input.value = ""; search(); }
  });
  reveal();
  var list = document.querySelector("nav.side details");
  if (list && window.matchMedia("(max-width: 60rem)").matches) { list.open = false; }
  var reload = document.documentElement.dataset.reload, state = null;
  if (reload) {
    setInterval(function () {
      fetch(reload).then(function (answer) { return answer.text(); }).then(function (text) {
        if (state !== null && state !== text) { location.reload(); }
        state = text;
      }).catch(function () { return null; });
    }, 1000);
  }
})();
