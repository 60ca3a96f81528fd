"""The SQL of each migration, with what its tables are for. What has landed is never edited."""

# What each table is for:
#   roots       LoRA folders, active or once known
#   identities  what the user says about a content (keyed by the hash of the tensor bytes), whatever its file is called
#   loras       one row a file: what the disk says, and the three user facts the list sorts by (favorite, rating, used)
#   lora_texts  the long parts of a LoRA that only its detail page reads
#   lora_tags   the effective tags, for filters and counts
#   search      full text over the effective words of a LoRA; rowid = loras.id
FIRST = """
CREATE TABLE roots (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL UNIQUE,
    label TEXT NOT NULL UNIQUE,
    active INTEGER NOT NULL DEFAULT 1,
    online INTEGER NOT NULL DEFAULT 1,
    message TEXT
);
CREATE TABLE identities (
    id INTEGER PRIMARY KEY,
    body_hash TEXT UNIQUE,
    favorite INTEGER NOT NULL DEFAULT 0,
    rating INTEGER,
    title TEXT,
    notes TEXT,
    weight REAL,
    trigger_words TEXT,
    tags_added TEXT,
    tags_removed TEXT,
    used INTEGER NOT NULL DEFAULT 0,
    last_used REAL
);
CREATE TABLE loras (
    id INTEGER PRIMARY KEY,
    root_id INTEGER NOT NULL REFERENCES roots(id),
    folder TEXT NOT NULL,
    stem TEXT NOT NULL,
    extension TEXT NOT NULL,
    sort_name TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    modified REAL NOT NULL,
    side_stamp INTEGER NOT NULL,
    added REAL NOT NULL,
    present INTEGER NOT NULL DEFAULT 1,
    state TEXT NOT NULL,
    state_reason TEXT,
    base_model TEXT NOT NULL,
    base_model_reason TEXT,
    title TEXT,
    alias TEXT,
    weight REAL,
    trigger_words TEXT NOT NULL DEFAULT '[]',
    tags TEXT NOT NULL DEFAULT '[]',
    preview_file TEXT,
    preview_kind TEXT,
    preview_stamp TEXT,
    sha256 TEXT,
    body_hash TEXT,
    autov1 TEXT,
    claimed_autov3 TEXT,
    hash_state TEXT NOT NULL DEFAULT 'pending',
    texts_read INTEGER NOT NULL DEFAULT 0,
    indexed INTEGER NOT NULL DEFAULT 0,
    identity_id INTEGER REFERENCES identities(id),
    favorite INTEGER NOT NULL DEFAULT 0,
    rating INTEGER NOT NULL DEFAULT 0,
    used INTEGER NOT NULL DEFAULT 0,
    UNIQUE (root_id, folder, stem, extension)
);
CREATE INDEX loras_name ON loras(sort_name, id);
CREATE INDEX loras_added ON loras(added, id);
CREATE INDEX loras_modified ON loras(modified, id);
CREATE INDEX loras_size ON loras(size, id);
CREATE INDEX loras_base_model ON loras(base_model, sort_name, id);
CREATE INDEX loras_facets ON loras(base_model, root_id, folder, present, state, favorite);
CREATE INDEX loras_alias ON loras(alias COLLATE NOCASE) WHERE alias IS NOT NULL;
CREATE INDEX loras_identity ON loras(identity_id) WHERE identity_id IS NOT NULL;
CREATE INDEX loras_body_hash ON loras(body_hash) WHERE body_hash IS NOT NULL;
CREATE INDEX loras_favorite ON loras(favorite, sort_name, id) WHERE favorite;
CREATE INDEX loras_rating ON loras(rating, id);
CREATE INDEX loras_used ON loras(used, id);
CREATE INDEX loras_unhashed ON loras(size) WHERE hash_state = 'pending';
CREATE TABLE lora_texts (
    lora_id INTEGER PRIMARY KEY REFERENCES loras(id) ON DELETE CASCADE,
    notes TEXT,
    description TEXT,
    facts TEXT NOT NULL,
    training_tags TEXT NOT NULL,
    examples TEXT NOT NULL
);
CREATE TABLE tags (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE
);
CREATE TABLE lora_tags (
    tag_id INTEGER NOT NULL REFERENCES tags(id),
    lora_id INTEGER NOT NULL REFERENCES loras(id) ON DELETE CASCADE,
    PRIMARY KEY (tag_id, lora_id)
) WITHOUT ROWID;
CREATE INDEX lora_tags_lora ON lora_tags(lora_id, tag_id);
CREATE VIRTUAL TABLE search USING fts5(
    name, title, trigger_words, tags, notes, description,
    tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
);
CREATE VIRTUAL TABLE search_terms USING fts5vocab(search, row);
CREATE TABLE generations (
    id INTEGER PRIMARY KEY,
    uuid TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    host TEXT NOT NULL,
    kind TEXT NOT NULL,
    prompt TEXT NOT NULL,
    negative_prompt TEXT NOT NULL,
    checkpoint TEXT,
    sampler TEXT,
    steps INTEGER,
    cfg REAL,
    seed INTEGER,
    width INTEGER,
    height INTEGER,
    duration REAL,
    images TEXT NOT NULL,
    interrupted INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX generations_created ON generations(created, id);
CREATE TABLE generation_loras (
    generation_id INTEGER NOT NULL REFERENCES generations(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    name TEXT NOT NULL,
    weight REAL,
    identity_id INTEGER REFERENCES identities(id),
    PRIMARY KEY (generation_id, position)
) WITHOUT ROWID;
CREATE INDEX generation_loras_identity ON generation_loras(identity_id, generation_id);
"""

# More that the user says about a content, and what the files say where the user's word stands above it:
#   loras.base_model, nsfw   effective; detected_… is what the files say
#   loras.effective_tags     the files' tags after the tag rules and the user's changes, as lora_tags has them
#   loras.write_due          the user said something that is not written back to a side file yet
#   tag_rules                a tag of the files that is shown as another one, or (becomes NULL) not at all
#   collections              hand-picked (items in collection_items), or smart: a saved search
#   actions                  what the user did, to be undone; action_changes has a field's value before and after
ORGANISE = """
ALTER TABLE identities ADD COLUMN base_model TEXT;
ALTER TABLE identities ADD COLUMN label TEXT;
ALTER TABLE identities ADD COLUMN nsfw INTEGER;
ALTER TABLE identities ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE identities ADD COLUMN negative_prompt TEXT;
ALTER TABLE loras ADD COLUMN detected_base_model TEXT NOT NULL DEFAULT 'Unknown';
ALTER TABLE loras ADD COLUMN nsfw INTEGER NOT NULL DEFAULT 0;
ALTER TABLE loras ADD COLUMN detected_nsfw INTEGER NOT NULL DEFAULT 0;
ALTER TABLE loras ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0;
ALTER TABLE loras ADD COLUMN label TEXT;
ALTER TABLE loras ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE loras ADD COLUMN negative_prompt TEXT;
ALTER TABLE loras ADD COLUMN effective_tags TEXT NOT NULL DEFAULT '[]';
ALTER TABLE loras ADD COLUMN write_due INTEGER NOT NULL DEFAULT 0;
ALTER TABLE loras ADD COLUMN blake3 TEXT;
ALTER TABLE loras ADD COLUMN crc32 TEXT;
ALTER TABLE tags ADD COLUMN color TEXT;
UPDATE loras SET detected_base_model = base_model, effective_tags = tags, side_stamp = -1,
    hash_state = CASE hash_state WHEN 'done' THEN 'pending' ELSE hash_state END;
CREATE INDEX loras_sha256 ON loras(sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX loras_hidden ON loras(hidden) WHERE hidden;
CREATE INDEX loras_write_due ON loras(id) WHERE write_due;
CREATE TABLE tag_rules (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    becomes TEXT
) WITHOUT ROWID;
CREATE TABLE collections (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE COLLATE NOCASE,
    query TEXT,
    sort TEXT,
    color TEXT,
    notes TEXT,
    created REAL NOT NULL
);
CREATE TABLE collection_items (
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    identity_id INTEGER NOT NULL REFERENCES identities(id) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    PRIMARY KEY (collection_id, identity_id)
) WITHOUT ROWID;
CREATE INDEX collection_items_identity ON collection_items(identity_id);
CREATE TABLE actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created REAL NOT NULL,
    kind TEXT NOT NULL,
    summary TEXT NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'done'
);
CREATE TABLE action_changes (
    action_id INTEGER NOT NULL REFERENCES actions(id) ON DELETE CASCADE,
    subject TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (action_id, subject, field)
) WITHOUT ROWID;
"""

SEARCH = """
CREATE VIRTUAL TABLE search USING fts5(
    name, title, trigger_words, tags, notes, description, author, training,
    tokenize = "unicode61 remove_diacritics 2", prefix = '2 3'
);
CREATE VIRTUAL TABLE search_terms USING fts5vocab(search, row);
UPDATE loras SET indexed = 0;
CREATE INDEX loras_unindexed ON loras(id) WHERE NOT indexed;
CREATE INDEX loras_weight ON loras(identity_id, weight)
"""

# How files are moved without losing any (library/files):
#   file_operations  the journal: what is to happen on disk, written before the first step, and what becomes of the
#                    catalogue after the last. state: planned, leftover (sources on another device still to be removed),
#                    done, undone
#   trash            what lies in the `.trash` folders: a LoRA with the values of its row, or single side files of one
FILES = """
CREATE TABLE file_operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    action_id INTEGER REFERENCES actions(id) ON DELETE SET NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    loras TEXT NOT NULL,
    steps TEXT NOT NULL,
    change TEXT NOT NULL
);
CREATE INDEX file_operations_open ON file_operations(id) WHERE state IN ('planned', 'leftover');
CREATE INDEX file_operations_action ON file_operations(action_id, id);
CREATE TABLE trash (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    operation_id INTEGER REFERENCES file_operations(id) ON DELETE SET NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'kept',
    lora_id INTEGER,
    root_id INTEGER NOT NULL REFERENCES roots(id),
    folder TEXT NOT NULL,
    stem TEXT NOT NULL,
    extension TEXT NOT NULL,
    title TEXT NOT NULL,
    place TEXT NOT NULL,
    files TEXT NOT NULL,
    size INTEGER NOT NULL,
    deleted REAL NOT NULL,
    lora TEXT
);
CREATE INDEX trash_deleted ON trash(deleted, id);
CREATE INDEX trash_operation ON trash(operation_id);
"""

# What is known of the weights themselves, by content (body hash):
#   inspections         the answer of GET loras/{id}/inspect; key: "VERSION:BODY", or "VERSION:file ID SIZE TIME" when not hashed
#   fingerprints        a few numbers of each content, by which the same weights are found again when saved otherwise
#   resaved             pairs of contents (a < b) that look alike: 'candidate', then, compared in full, 'same' or 'different'
#   duplicates_ignored  pairs of files (lora_id < other_id) that the user wants to have both
WEIGHTS = """
CREATE TABLE inspections (
    key TEXT PRIMARY KEY,
    result TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE fingerprints (
    id INTEGER PRIMARY KEY,
    body_hash TEXT NOT NULL UNIQUE,
    signature TEXT,
    reason TEXT,
    dtype TEXT,
    rank INTEGER,
    ranks INTEGER,
    vector BLOB
);
CREATE INDEX fingerprints_signature ON fingerprints(signature) WHERE signature IS NOT NULL;
CREATE TABLE resaved (
    a TEXT NOT NULL,
    b TEXT NOT NULL,
    state TEXT NOT NULL,
    similarity REAL,
    PRIMARY KEY (a, b)
) WITHOUT ROWID;
CREATE INDEX resaved_state ON resaved(state);
CREATE TABLE duplicates_ignored (
    lora_id INTEGER NOT NULL REFERENCES loras(id) ON DELETE CASCADE,
    other_id INTEGER NOT NULL REFERENCES loras(id) ON DELETE CASCADE,
    PRIMARY KEY (lora_id, other_id)
) WITHOUT ROWID;
CREATE INDEX duplicates_ignored_other ON duplicates_ignored(other_id)
"""

# What Civitai answered, kept by content so that it follows a file everywhere:
#   civitai_versions   a model version by the file's SHA256, with its model inside; "not_found" is remembered too
#   civitai_models     a model with its versions, as of the last check for updates
#   civitai_ignored    versions (0: the whole model) that are not to be offered as updates
CIVITAI = """
CREATE TABLE civitai_versions (
    sha256 TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    fetched REAL NOT NULL,
    source TEXT,
    version TEXT
) WITHOUT ROWID;
CREATE TABLE civitai_models (
    model_id INTEGER PRIMARY KEY,
    fetched REAL NOT NULL,
    state TEXT NOT NULL,
    model TEXT
);
CREATE TABLE civitai_ignored (
    model_id INTEGER NOT NULL,
    version_id INTEGER NOT NULL,
    PRIMARY KEY (model_id, version_id)
) WITHOUT ROWID;
CREATE TABLE civitai_downloads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created REAL NOT NULL,
    version_id INTEGER NOT NULL,
    file_id INTEGER,
    name TEXT NOT NULL,
    file TEXT NOT NULL,
    folder TEXT NOT NULL,
    url TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    version TEXT NOT NULL,
    state TEXT NOT NULL,
    received INTEGER NOT NULL DEFAULT 0,
    message TEXT NOT NULL DEFAULT '',
    lora_id INTEGER
);
"""

# Writing back to side files:
#   written_back   what the user's word replaced in a side file, to come back when the word is taken back; before and
#                  after as JSON, NULL for a key that was not there
#   the trigger    a file that gets an identity (downloaded again, hashed) has to be told what the user said
WRITE_BACK = """
CREATE TABLE written_back (
    lora_id INTEGER NOT NULL REFERENCES loras(id) ON DELETE CASCADE,
    ending TEXT NOT NULL,
    key TEXT NOT NULL,
    before TEXT,
    after TEXT,
    PRIMARY KEY (lora_id, ending, key)
) WITHOUT ROWID;
UPDATE loras SET write_due = 1 WHERE identity_id IS NOT NULL;
CREATE TRIGGER loras_write_due AFTER UPDATE OF identity_id ON loras
WHEN new.identity_id IS NOT NULL AND new.identity_id IS NOT old.identity_id AND NOT new.write_due
BEGIN UPDATE loras SET write_due = 1 WHERE id = new.id; END
"""

# What prompts are made of, besides files:
#   identities.word_groups  how the user wants a LoRA's words to be used, as JSON; NULL: as its trigger words say
#   sets             named lists of LoRAs with text; `deleted` is when, until then (NULL) its name is its own
#   set_versions     what a set held; sets.version is the one that counts
#   set_loras        the LoRAs of a version, by content; `name` is what the file was called when the set was saved
#   set_pictures     a picture of the user's own, small
SETS = """
ALTER TABLE identities ADD COLUMN word_groups TEXT;
CREATE TABLE sets (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    modified REAL NOT NULL,
    deleted REAL
);
CREATE UNIQUE INDEX sets_name ON sets(name COLLATE NOCASE) WHERE deleted IS NULL;
CREATE TABLE set_versions (
    set_id INTEGER NOT NULL REFERENCES sets(id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    created REAL NOT NULL,
    name TEXT NOT NULL,
    prompt TEXT NOT NULL,
    negative_prompt TEXT NOT NULL,
    notes TEXT NOT NULL,
    base_model TEXT,
    PRIMARY KEY (set_id, version)
) WITHOUT ROWID;
CREATE TABLE set_loras (
    set_id INTEGER NOT NULL REFERENCES sets(id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    position INTEGER NOT NULL,
    identity_id INTEGER REFERENCES identities(id),
    name TEXT NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (set_id, version, position)
) WITHOUT ROWID;
CREATE INDEX set_loras_identity ON set_loras(identity_id) WHERE identity_id IS NOT NULL;
CREATE TABLE set_pictures (
    set_id INTEGER PRIMARY KEY REFERENCES sets(id) ON DELETE CASCADE,
    stamp REAL NOT NULL,
    picture BLOB NOT NULL
);
"""

# Other programs name a LoRA by the beginning of any of its hashes.
HASHES = """
CREATE INDEX loras_claimed_autov3 ON loras(claimed_autov3) WHERE claimed_autov3 IS NOT NULL;
CREATE INDEX loras_blake3 ON loras(blake3) WHERE blake3 IS NOT NULL;
CREATE INDEX loras_autov1 ON loras(autov1) WHERE autov1 IS NOT NULL;
CREATE INDEX loras_crc32 ON loras(crc32) WHERE crc32 IS NOT NULL;
"""

# What recommendations are worked out from, kept so that nothing is computed twice:
#   embeddings  a text's meaning as a model sees it: float16, little-endian, of unit length; text_hash is how the SHA256 of
#               its UTF-8 begins (16 bytes)
#   sketches    a content's weights as a few bits, eight a byte; NULL with a reason where a file has none
#   feedback    what the user said of a recommendation; subject: the prompt, or the LoRAs as JSON, that it was made for
RECOMMEND = """
CREATE TABLE embeddings (
    text_hash BLOB NOT NULL,
    model TEXT NOT NULL,
    vector BLOB NOT NULL,
    PRIMARY KEY (text_hash, model)
) WITHOUT ROWID;
CREATE TABLE sketches (
    body_hash TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    architecture TEXT,
    norm REAL,
    vector BLOB,
    reason TEXT
) WITHOUT ROWID;
CREATE TABLE feedback (
    id INTEGER PRIMARY KEY,
    created REAL NOT NULL,
    identity_id INTEGER NOT NULL REFERENCES identities(id) ON DELETE CASCADE,
    verdict TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL
);
CREATE INDEX feedback_identity ON feedback(identity_id)
"""

# near: pairs of contents, by body_hash, `one` the lower, whose sketches are much alike; `paired` tells of which sketches all
# pairs are known.
NEAR = """
ALTER TABLE sketches ADD COLUMN paired INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sketches_version ON sketches(version, body_hash);
CREATE INDEX sketches_unpaired ON sketches(architecture, body_hash) WHERE paired = 0 AND vector IS NOT NULL;
CREATE TABLE near (
    one TEXT NOT NULL,
    other TEXT NOT NULL,
    cosine REAL NOT NULL,
    PRIMARY KEY (one, other)
) WITHOUT ROWID
"""
