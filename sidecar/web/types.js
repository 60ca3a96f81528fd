// The shapes that travel between the page's modules and the HTTP API. Types only: nothing loads this file at run time.

/**
 * @typedef {"ok"|"broken"|"unreadable"|"missing"|"legacy"} LoraState
 *
 * @typedef {object} Lora
 * @property {number} id
 * @property {string} name the file's stem, as the host knows it
 * @property {string|null} title
 * @property {string} base_model
 * @property {string[]} trigger_words
 * @property {string[]} tags
 * @property {boolean} favorite
 * @property {number|null} weight preferred weight
 * @property {number} size bytes
 * @property {number} modified epoch seconds
 * @property {number} added epoch seconds
 * @property {LoraState} state
 * @property {string} folder
 * @property {{kind: "image"|"animated"|"video", v: string}|null} preview
 * @property {number} used
 * @property {boolean} shadowed another file has the same stem
 * @property {number|null} rating 1 to 5
 * @property {string|null} label
 * @property {number} nsfw 0 not known, 1 PG, 2 PG-13, 4 R, 8 X, 16 XXX
 * @property {boolean} hidden
 * @property {string|null} network kind of network: lora, locon, loha, lokr, dora…
 *
 * @typedef {object} Example
 * @property {string|null} [prompt]
 * @property {string|null} [negative_prompt]
 * @property {string|null} [sampler]
 * @property {number|null} [steps]
 * @property {number|null} [cfg]
 * @property {number|null} [seed]
 * @property {string|null} [size]
 * @property {string|null} [checkpoint]
 * @property {string|null} [url]
 *
 * @typedef {object} DetailOnly
 * @property {string|null} description sanitised HTML
 * @property {string|null} notes
 * @property {string|null} author
 * @property {string|null} url
 * @property {string|null} version
 * @property {string} path
 * @property {Record<string, string|null>} hashes
 * @property {boolean} hashing_pending
 * @property {string|null} base_model_reason
 * @property {string|null} state_reason
 * @property {{tag: string, count: number}[]} training_tags
 * @property {Record<string, unknown>} training
 * @property {Record<string, string>} sources where each value came from; "user" is an edit made here
 * @property {Example[]} examples
 * @property {string[]} side_files
 * @property {Record<string, unknown>} metadata
 * @property {string[]} [warnings] what was wrong with its side files
 * @property {string[]} [pictures] addresses of the description's pictures, which nobody has loaded
 * @property {string|null} [negative_prompt]
 * @property {WordGroup[]} [word_groups] how its words are used now
 * @property {{id: number, name: string}[]} [collections] hand-picked ones that it is in
 * @property {boolean} [can_open_folder]
 * @property {{state: "off"|"written"|"due"|"refused", file: string|null, reason: string|null}} [write_back] how far the user's word is in a side file
 * @property {Record<string, Candidate[]>} [values] what every source says of a field, strongest first
 *
 * @typedef {object} WordGroup words of a LoRA that are used together
 * @property {string|null} name
 * @property {string[]} words
 * @property {"always"|"ask"|"never"} mode
 * @property {"start"|"end"|"beside"} place
 * @property {boolean} negative they belong into the negative prompt
 * @property {boolean} outfit of several such groups one counts: the one that the prompt speaks of
 *
 * @typedef {{source: string, value: any, reason?: string}} Candidate
 *
 * @typedef {Lora & DetailOnly} Detail
 *
 * @typedef {{value: string, count: number}} Count
 *
 * @typedef {object} Facets
 * @property {Count[]} base_model
 * @property {(Count & {color: string|null})[]} tag
 * @property {Count[]} folder
 * @property {Count[]} state
 * @property {Count[]} label
 * @property {Count[]} rating
 * @property {Count[]} network
 * @property {{value: number, count: number}[]} nsfw
 * @property {number} favorite
 * @property {number} hidden
 *
 * @typedef {object} Collection
 * @property {number} id
 * @property {string} name
 * @property {string|null} query a saved search; null: picked by hand
 * @property {string|null} sort
 * @property {string|null} color
 * @property {string|null} notes
 * @property {number} count
 * @property {number[]} previews
 *
 * @typedef {object} Suggestion
 * @property {string} text replaces the term
 * @property {string} label
 * @property {string} value
 * @property {number|null} count
 * @property {string} kind field, tag, name, or the field whose value it is
 *
 * @typedef {{name: string, count: number, color: string|null, becomes_from: string[]}} Tag
 *
 * @typedef {object} FileOutcome
 * @property {number} id
 * @property {string} from
 * @property {string} to
 * @property {"done"|"same"|"conflict"|"failed"} state
 * @property {string|null} [reason]
 *
 * @typedef {{action?: number|null, done: number, items: FileOutcome[]}} FileResult
 *
 * @typedef {object} Task
 * @property {number} id
 * @property {string} kind
 * @property {string} title
 * @property {"running"|"done"|"failed"|"cancelled"} state
 * @property {number} done
 * @property {number} total 0: not known
 * @property {string} message
 * @property {any} result
 * @property {number} [started] epoch seconds
 *
 * @typedef {object} LoraList
 * @property {Lora[]} items
 * @property {number} total
 * @property {string|null} [corrected]
 * @property {Facets} [facets]
 *
 * @typedef {object} Hashing
 * @property {number} pending
 * @property {number} done
 * @property {boolean} paused
 * @property {number|null} [bytes_per_second]
 *
 * @typedef {object} Folder
 * @property {string} path
 * @property {boolean} online
 * @property {number} loras
 * @property {string|null} [message]
 *
 * @typedef {object} LibraryStatus
 * @property {boolean} scanning
 * @property {number} found
 * @property {number} read
 * @property {number} total
 * @property {number} broken
 * @property {number} seconds
 * @property {Folder[]} folders
 * @property {Hashing} hashing
 * @property {string|null} [message] why the last scan did not end well
 *
 * @typedef {object} Health
 * @property {string} version
 * @property {number} schema
 * @property {number} loras
 * @property {{model: string|null, pending: number}} embeddings
 * @property {{pending: number}} hashing
 * @property {boolean} scanning
 * @property {string|null} host
 * @property {string} data
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
 * @typedef {{name: string, modules: number, strength: number|null}} Block
 * @typedef {{name: string, modules: number, strength: number|null, blocks: Block[]}} WeightPart
 * @typedef {{min: number|null, max: number|null, values: {value: number, modules: number}[]}} Spread
 *
 * @typedef {object} Inspection
 * @property {"ready"} state
 * @property {string|null} network
 * @property {Spread} rank
 * @property {Spread} alpha
 * @property {number} modules
 * @property {number} parameters
 * @property {Record<string, number>} dtypes tensors by number format
 * @property {number|null} strength
 * @property {WeightPart[]} parts
 * @property {{code: string, message: string}[]} problems
 *
 * @typedef {object} SideFile
 * @property {string} name
 * @property {string} ending
 * @property {string|null} dialect
 * @property {number|null} size
 * @property {number|null} modified
 * @property {string|null} text as it is; null for pictures and videos
 * @property {string|null} error
 *
 * @typedef {{ids?: number[], query?: string, filter?: Record<string, unknown>}} Selection which LoRAs are meant, in one of three ways
 *
 * @typedef {object} CopyOnly
 * @property {string} path
 * @property {string} file
 * @property {string|null} precision
 * @property {number|null} rank
 * @property {number} side_files how many
 *
 * @typedef {Lora & CopyOnly} Copy
 *
 * @typedef {object} DuplicateGroup
 * @property {"file"|"weights"|"resaved"} kind
 * @property {string} key
 * @property {number} wasted bytes
 * @property {number} count
 * @property {Copy[]} loras the one to keep first, 200 at most
 *
 * @typedef {object} CivitaiVersion
 * @property {number} id
 * @property {string} name
 * @property {string} base_model
 * @property {string|null} published
 * @property {number} size bytes
 * @property {{id: number|null, name: string, size: number, primary: boolean}[]} files
 *
 * @typedef {{id: number, name: string|null, url: string, type?: string|null, author?: string|null}} CivitaiModel
 *
 * @typedef {object} CivitaiAnswer
 * @property {"unknown"|"found"|"not_found"} state
 * @property {number|null} fetched
 * @property {string|null} [source] "civitai" or "archive"
 * @property {CivitaiVersion|null} version
 * @property {CivitaiModel|null} model
 * @property {CivitaiVersion[]} newer
 *
 * @typedef {{lora: Lora|null, model: CivitaiModel, current: CivitaiVersion, newer: CivitaiVersion[]}} CivitaiUpdate
 *
 * @typedef {object} Download
 * @property {number} id
 * @property {string} name
 * @property {string} file
 * @property {string} folder
 * @property {"waiting"|"running"|"paused"|"done"|"failed"} state
 * @property {number} received
 * @property {number} size 0 while it is not known
 * @property {string} message
 * @property {number|null} lora_id
 *
 * @typedef {object} Trashed
 * @property {number} id
 * @property {string} kind "lora", or single side files of one
 * @property {string} name
 * @property {string} title
 * @property {string} folder
 * @property {number} deleted
 * @property {number|null} expires
 * @property {number} size
 * @property {string[]} files
 * @property {boolean} preview there is a picture among them
 *
 * @typedef {object} Backup
 * @property {string} id
 * @property {number} created
 * @property {number} size
 * @property {number|null} schema
 * @property {string|null} version
 * @property {string|null} reason
 * @property {string} note
 * @property {Record<string, number>} counts
 * @property {number|null} verified when it was last checked and found good
 * @property {string|null} problem
 *
 * @typedef {object} Preferences
 * @property {"off"|"a1111"|"metadata"} write_back
 * @property {number} trash_days
 * @property {string} organise_template
 * @property {"tell"|"fix"|"stop"} before_generating
 * @property {number} weight_cap the most that the weights of a prompt may add up to; 0: no cap
 * @property {number} blur_from NSFW level from which pictures are blurred; 0: never
 * @property {string} civitai_url
 * @property {string} civitai_archive_url
 * @property {boolean} civitai_key_set
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
 *
 * @typedef {{n: number, type: string, data: any}} LiveMessage
 */

export {};
