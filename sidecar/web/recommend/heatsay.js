// What a heat map means, in plain words, and what can be done about it.
import { weight } from "../format.js";
import { meetingsOf } from "./heatmath.js";

/**
 * @typedef {import("./heatmath.js").Stacked} Stacked
 * @typedef {import("./heatmath.js").Column} Column
 * @typedef {import("./heatmath.js").PairOf} PairOf
 * @typedef {{label: string, weights: {id: number, weight: number}[]}} Advice
 */

/** Cosines over all blocks: from here on two LoRAs push the same way, or partly so. */
const SAME = 0.5;
const PARTLY = 0.15;
const HARDLY = 0.05;
/** So many times as strong as meant is too much, as in lint. */
const TOO_STRONG = 1.25;

/** Where, in a sentence. @param {string} group */
export function placeOf(group) {
  if (group.startsWith("Text encoder")) return `the t${group.slice(1)}`;
  if (group === "MID") return "the MID block";
  return group === "Other" ? "layers outside the blocks" : `the ${group.endsWith("blocks") ? `${group.charAt(0).toLowerCase()}${group.slice(1)}` : `${group} blocks`}`;
}

/** A cosine in words. @param {number} cosine */
export function directionOf(cosine) {
  const size = Math.abs(cosine);
  if (size < HARDLY) return "nothing in common";
  const how = size >= 0.9 ? "" : size >= SAME ? "much " : size >= PARTLY ? "partly " : "a little ";
  return cosine > 0 ? `${how}the same direction` : `${how}against each other`;
}

/**
 * One or two sentences on a stack, and what to do where something is to be done.
 * @param {Stacked[]} loras
 * @param {Column[]} columns
 * @param {PairOf[]} pairs those that pull most first
 * @returns {{text: string, advice: Advice|null}}
 */
export function verdictOf(loras, columns, pairs) {
  const meetings = meetingsOf(columns, loras.length, PARTLY).flatMap((meeting) => {
    const first = loras[meeting.first];
    return first ? [{ ...meeting, lora: first, acts: strengthOf(first) * meeting.acts, excess: excessOf(first, meeting) }] : [];
  });
  const [worst, ...others] = meetings.sort((a, b) => Math.max(1, b.excess) - Math.max(1, a.excess) || b.cosine - a.cosine);
  if (!worst) return { text: quiet(loras, pairs.filter(({ cosine }) => cosine !== null)), advice: null };
  const { lora, acts } = worst;
  const strong = worst.cosines.some((cosine) => cosine >= SAME);
  const few = strong ? worst.same.filter((_, at) => (worst.cosines[at] ?? 0) < SAME) : [];
  const same = named(loras, [worst.first, ...worst.same.filter((at) => !few.includes(at))]);
  const against = named(loras, worst.against);
  const place = `most in ${placeOf(worst.where)}`;
  const more = others.length ? ` ${others.map((other) => named(loras, [other.first, ...other.same, ...other.against])).join("; ")}: these meet, too.` : "";
  if (!worst.same.length) {
    const left = acts * strengthOf(lora) <= 0 || Math.abs(acts) < 0.05 ? `nothing of ${lora.title} is left` : `what is left acts like ${lora.title} at ${weight(acts)}`;
    return { text: `${against} ${worst.against.length === 1 ? "pushes" : "push"} against ${lora.title}, ${place}: ${left}. Weaken ${against} or leave ${worst.against.length === 1 ? "it" : "them"} out, unless that is what you want.${more}`, advice: null };
  }
  const but = `${few.length ? `, ${named(loras, few)} partly` : ""}${against ? `, ${against} against them` : ""}`;
  const text = `${same} push ${strong ? "" : "partly "}the same way${but}, ${place}: together they act like ${lora.title} at ${weight(acts)}.`;
  if (worst.excess < TOO_STRONG) return { text: `${text} That is within what ${lora.title} is meant for.${more}`, advice: null };
  const wanted = Math.sign(strengthOf(lora)) * Math.min(Math.abs(strengthOf(lora)), lora.usual);
  const all = [worst.first, ...worst.same, ...worst.against].flatMap((at) => loras[at] ?? []);
  return { text: `${text} Lower one of them, or all.${more}`, advice: adviceOf(all, wanted / acts, lora, wanted) };
}

/** How many times as strong as meant, or as the strongest alone. @param {Stacked} lora @param {import("./heatmath.js").Meeting} meeting */
function excessOf(lora, { acts, same }) {
  const strength = Math.abs(strengthOf(lora));
  return same.length ? (strength * acts) / Math.max(lora.usual, strength) : 0;
}

/** @param {Stacked[]} loras @param {number[]} places */
function named(loras, places) {
  const titles = places.map((at) => loras[at]?.title ?? "");
  return titles.length > 1 ? `${titles.slice(0, -1).join(", ")} and ${titles.at(-1)}` : (titles[0] ?? "");
}

/** @param {Stacked} lora what the picture shows most, else what the text encoder gets */
const strengthOf = ({ te, unet }) => unet.find((one) => one !== 0) ?? te;

/** All lowered alike, when all can be. @param {Stacked[]} loras @param {number} factor @param {Stacked} first @param {number} wanted @returns {Advice|null} */
function adviceOf(loras, factor, first, wanted) {
  const weights = loras.flatMap(({ id, weight: now }) => (now === null ? [] : [{ id, weight: Math.round(now * factor * 100) / 100 }]));
  if (weights.length < loras.length) return null;
  return { label: `Lower ${loras.length === 2 ? "both" : `all ${loras.length}`} to act like ${first.title} at ${weight(wanted)}`, weights };
}

/** @param {Stacked[]} loras @param {PairOf[]} pairs */
function quiet(loras, pairs) {
  const [top] = pairs;
  const [one, other] = (top?.both ?? []).map((at) => loras[at]);
  if (!top) return "Two of them never change the same block: they cannot be in each other's way.";
  if (top.pull < HARDLY || !one || !other) return "They hardly touch each other: each changes things of its own.";
  const who = loras.length === 2 ? "They share a little" : `They share a little, ${one.title} and ${other.title} most`;
  return `${who}, ${loras.length === 2 ? "most " : ""}in ${placeOf(top.where)}. Nothing needs to be done.`;
}
