// The shapes of prompts, sets and recommendations. Types only: nothing loads this file at run time; types.js passes them on.

/**
 * @typedef {import("./types.js").Lora} Lora
 *
 * @typedef {object} Generation
 * @property {number} id
 * @property {number} created
 * @property {string} host
 * @property {string} prompt
 * @property {string} negative_prompt
 * @property {{name: string, weight: number|null}[]} loras
 * @property {string|null} checkpoint
 * @property {number|null} seed
 * @property {string[]} [images] their paths
 *
 * @typedef {object} SetLora a LoRA of a set; what is null is as the LoRA itself says
 * @property {number|null} lora_id
 * @property {string} name
 * @property {string} title
 * @property {number|null} weight
 * @property {number|null} te
 * @property {number|null} unet
 * @property {number|null} in
 * @property {number|null} mid
 * @property {number|null} out
 * @property {number|null} dyn
 * @property {string[]|null} words
 * @property {"ok"|"missing"} state
 * @property {string} base_model
 * @property {Lora["preview"]} preview
 * @property {number} nsfw
 * @property {number|null} usual_weight where nobody says another
 *
 * @typedef {object} SetContent what the user says in a set
 * @property {string} name
 * @property {SetLora[]} loras
 * @property {string} prompt
 * @property {string} negative_prompt
 * @property {string} notes
 * @property {string|null} base_model
 *
 * @typedef {object} SetOnly
 * @property {number} id
 * @property {number} version
 * @property {number} created epoch seconds
 * @property {number} modified epoch seconds
 * @property {string|null} detected_base_model
 * @property {boolean} preview it has a picture of its own
 * @property {number|null} preview_stamp
 * @property {number[]} previews LoRAs in it that have one
 * @property {boolean} deleted
 *
 * @typedef {SetContent & SetOnly} LoraSet
 *
 * @typedef {object} PromptWord a trigger word of a LoRA in the prompt
 * @property {string} text
 * @property {string|null} group
 * @property {boolean} present
 * @property {boolean} negative it belongs into the negative prompt
 * @property {"always"|"ask"|"never"} mode
 *
 * @typedef {object} PromptTag places are characters as the sidecar counts them, or UTF-16 units once they are converted
 * @property {"prompt"|"negative_prompt"} field
 * @property {number} start
 * @property {number} end
 * @property {"lora"|"lyco"|"set"|"draw"} kind
 * @property {string} name of a draw: what it draws from
 * @property {number|null} weight
 * @property {[number, number]|null} weights the range that a draw takes its weight out of
 * @property {number} weight_start
 * @property {number} weight_end
 * @property {number|null} te
 * @property {number|null} unet
 * @property {Lora|null} lora
 * @property {{id: number, name: string, base_model: string|null, loras: {name: string, weight: string|null}[]}|null} set
 * @property {PromptWord[]} words
 *
 * @typedef {{field: "prompt"|"negative_prompt", start: number, end: number, text: string}} PromptChange
 *
 * @typedef {object} PromptProblem
 * @property {"error"|"warning"|"info"} level
 * @property {string} code
 * @property {string} message
 * @property {string|null} lora
 * @property {"prompt"|"negative_prompt"} field
 * @property {number} start
 * @property {number} end
 * @property {{label: string, changes: PromptChange[]}[]} fixes
 *
 * @typedef {{level: "error"|"warning"|"info", code: string, message: string, lora: string|null}} PromptNote
 *
 * @typedef {object} Composed what the host gets for a prompt
 * @property {string} prompt
 * @property {string} negative_prompt
 * @property {PromptNote[]} notes
 * @property {boolean} stop
 *
 * @typedef {object} Completion what may stand at the caret
 * @property {"lora"|"set"|"word"|"field"} kind
 * @property {string} text takes the place that the answer names
 * @property {string} label
 * @property {string} detail
 * @property {Lora|null} lora
 * @property {{id: number, name: string, base_model: string|null, previews: number[]}|null} set
 * @property {boolean|null} fits whether it fits the checkpoint, null: not known
 *
 * @typedef {object} Recommendation
 * @property {Lora} lora
 * @property {number} score how likely it is, 0 to 1
 * @property {number|null} weight a proposal
 * @property {{kind: string, text: string}[]} reasons
 *
 * @typedef {object} PictureLora
 * @property {string} name
 * @property {number|null} weight
 * @property {string|null} hash
 * @property {"hash"|"name"|null} found
 * @property {Lora|null} lora
 *
 * @typedef {object} PictureText what a picture tells of its making
 * @property {string} software
 * @property {string} prompt with the names that the library has
 * @property {string} negative_prompt
 * @property {Record<string, string|number>} parameters
 * @property {PictureLora[]} loras
 * @property {string[]} missing
 * @property {string[]} sets
 */

export {};
