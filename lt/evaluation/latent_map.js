// Maps of the latent space that can be played: a click, a touch or the arrow keys sound a note, a
// drag draws a path whose notes fade into one another. All that is heard is in the page.
"use strict";

const FADE = 0.08; // seconds, out of a note, and into the next of a path
const ATTACK = 0.004; // seconds, into a note that is clicked: its onset stays
const LONGEST_PAUSE = 1; // seconds between the notes of a path that is played again
const MARGIN = 4; // per cent of the plane at each side
const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

let output; // of all maps, made at the first gesture: browsers let nothing sound before

function audioOutput() {
  output ??= new AudioContext();
  if (output.state === "suspended") output.resume();
  return output;
}

class LatentMap {
  constructor(root) {
    const find = (name) => root.querySelector(`.map-${name}`);
    this.root = root;
    this.map = JSON.parse(root.querySelector("script").textContent);
    this.buffers = []; // decoded sounds, by note
    this.path = []; // notes with the seconds that pass before each
    this.plane = find("plane");
    this.status = find("status");
    this.replayButton = find("replay");
    this.legend = find("legend");
    this.about = find("about");
    this.circles = this.map.notes.map(() => this.draw("circle", { r: 5 }));
    this.colour(find("colour").value);
    this.project(find("projection").value);
    find("colour").addEventListener("change", (event) => this.colour(event.target.value));
    find("projection").addEventListener("change", (event) => this.project(event.target.value));
    this.replayButton.addEventListener("click", () => this.replay());
    this.plane.addEventListener("pointerdown", (event) => this.begin(event));
    this.plane.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.plane.addEventListener(end, () => (this.last = undefined));
    }
    this.plane.addEventListener("keydown", (event) => this.key(event));
  }

  draw(name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return this.plane.appendChild(element);
  }

  colour(label) {
    const { classes, of } = this.map.colours[label];
    this.circles.forEach((circle, note) => circle.setAttribute("fill", classes[of[note]].colour));
    this.legend.replaceChildren(
      ...classes.map(({ name, colour }) => {
        const [item, dot] = [document.createElement("li"), document.createElement("i")];
        dot.style.background = colour;
        item.append(dot, name);
        return item;
      }),
    );
  }

  project(name) {
    const { points, about } = this.map.projections[name];
    this.points = points.map((point) =>
      point.map((value) => MARGIN + (100 - 2 * MARGIN) * value),
    );
    this.circles.forEach((circle, note) => {
      circle.setAttribute("cx", `${this.points[note][0]}%`);
      circle.setAttribute("cy", `${this.points[note][1]}%`);
    });
    this.about.textContent = about;
    this.clearTrail();
  }

  // --- what is asked for ---

  // The pointer's place in per cent of the plane.
  place(event) {
    const box = this.plane.getBoundingClientRect();
    return [
      (100 * (event.clientX - box.left)) / box.width,
      (100 * (event.clientY - box.top)) / box.height,
    ];
  }

  // Distance in pixels between places.
  distance([x, y], [otherX, otherY]) {
    const box = this.plane.getBoundingClientRect();
    return Math.hypot(((x - otherX) * box.width) / 100, ((y - otherY) * box.height) / 100);
  }

  nearest(place) {
    const distances = this.points.map((point) => this.distance(place, point));
    return distances.indexOf(Math.min(...distances));
  }

  begin(event) {
    if (event.button) return;
    this.plane.setPointerCapture(event.pointerId);
    this.clearTrail();
    this.path = [];
    this.last = this.place(event);
    this.visit(this.nearest(this.last), ATTACK);
  }

  move(event) {
    const place = this.place(event);
    if (!this.last) {
      this.status.textContent = this.map.notes[this.nearest(place)];
      return;
    }
    const [[x1, y1], [x2, y2]] = [this.last, place];
    this.draw("line", { x1: `${x1}%`, y1: `${y1}%`, x2: `${x2}%`, y2: `${y2}%` });
    this.last = place;
    const note = this.nearest(place);
    if (note !== this.note) this.visit(note, FADE);
  }

  key(event) {
    const direction = DIRECTIONS[event.key];
    if (!direction && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    const note = this.note ?? 0;
    this.visit(direction && this.note !== undefined ? this.neighbour(note, direction) : note, ATTACK);
  }

  // The nearest note in a direction; the note itself where there is none.
  neighbour(note, [right, down]) {
    const here = this.points[note];
    let [best, least] = [note, Infinity];
    this.points.forEach((point, other) => {
      const along = (point[0] - here[0]) * right + (point[1] - here[1]) * down;
      const aside = Math.abs((point[0] - here[0]) * down) + Math.abs((point[1] - here[1]) * right);
      if (other !== note && along > 0 && along >= aside && along + aside < least) {
        [best, least] = [other, along + aside];
      }
    });
    return best;
  }

  clearTrail() {
    this.plane.querySelectorAll("line").forEach((line) => line.remove());
  }

  // --- sound ---

  visit(note, attack) {
    const now = performance.now() / 1000;
    const pause = this.path.length ? Math.min(now - this.visited, LONGEST_PAUSE) : 0;
    this.visited = now;
    this.path.push({ note, pause });
    this.replayButton.disabled = false;
    return this.play(note, attack);
  }

  async replay() {
    for (const { note, pause } of [...this.path]) {
      const request = this.request;
      await new Promise((done) => setTimeout(done, 1000 * pause));
      if (pause && request !== this.request) return; // something else was asked for meanwhile
      await this.play(note, FADE);
    }
  }

  async play(note, attack) {
    this.circles[this.note]?.classList.remove("current");
    this.note = note;
    this.root.dataset.note = note;
    this.circles[note].classList.add("current");
    this.status.textContent = this.map.notes[note];
    const request = (this.request = {});
    const buffer = await (this.buffers[note] ??= this.decode(note));
    if (request !== this.request) return; // another note was asked for meanwhile
    this.fadeOut();
    const context = audioOutput();
    const [source, level] = [context.createBufferSource(), context.createGain()];
    source.buffer = buffer;
    level.gain.setValueAtTime(0, context.currentTime);
    level.gain.linearRampToValueAtTime(1, context.currentTime + attack);
    source.connect(level).connect(context.destination);
    source.start();
    this.playing = { source, level };
    this.root.dataset.playing = note;
    source.onended = () => {
      if (this.playing?.source === source) delete this.root.dataset.playing;
    };
  }

  fadeOut() {
    if (!this.playing) return;
    const { source, level } = this.playing;
    const now = audioOutput().currentTime;
    level.gain.cancelScheduledValues(now);
    level.gain.setValueAtTime(level.gain.value, now);
    level.gain.linearRampToValueAtTime(0, now + FADE);
    source.stop(now + FADE);
  }

  decode(note) {
    const bytes = Uint8Array.from(atob(this.map.sounds[note]), (letter) => letter.charCodeAt(0));
    return audioOutput().decodeAudioData(bytes.buffer);
  }
}

document.querySelectorAll(".map").forEach((root) => new LatentMap(root));
