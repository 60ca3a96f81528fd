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
 * @typedef {import("./prompttypes.js").Generation} Generation
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
 * @property {number|null} [likeness] its cosine with the first of what is nearly the same
 * @typedef {Lora & CopyOnly} Copy
 *
 * @typedef {object} DuplicateGroup
 * @property {"file"|"weights"|"resaved"|"near"} kind
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
 * @property {string} embedding_model a folder or a name; empty: the one that is found
 * @property {"cpu"|"gpu"|"off"} embedding_device
 * @typedef {import("./prompttypes.js").SetLora} SetLora
 * @typedef {import("./prompttypes.js").SetContent} SetContent
 * @typedef {import("./prompttypes.js").SetOnly} SetOnly
 * @typedef {import("./prompttypes.js").LoraSet} LoraSet
 * @typedef {import("./prompttypes.js").PromptWord} PromptWord
 * @typedef {import("./prompttypes.js").PromptTag} PromptTag
 * @typedef {import("./prompttypes.js").PromptChange} PromptChange
 * @typedef {import("./prompttypes.js").PromptProblem} PromptProblem
 * @typedef {import("./prompttypes.js").PromptNote} PromptNote
 * @typedef {import("./prompttypes.js").Composed} Composed
 * @typedef {import("./prompttypes.js").Completion} Completion
 * @typedef {import("./prompttypes.js").Recommendation} Recommendation
 * @typedef {import("./prompttypes.js").PictureLora} PictureLora
 * @typedef {import("./prompttypes.js").PictureText} PictureText
 *
 * @typedef {{n: number, type: string, data: any}} LiveMessage
 */

export {};
