"""Civitai, on request only: look up by hash, check for updates, download.

client     the API over HTTP: time limits, back-off, plain errors; the key goes to the configured address alone
archive    the archive's answers in Civitai's shape
stored     what was answered, in the database, by content
asking     what a download has to know beforehand, within seconds
lookup     which version a file is
updates    newer versions of what the user owns
choosing   which file of a version is meant, and where it belongs
parts      the part file of a download, written by one at a time
downloads  a version's file into a folder: resumed, verified, then put in its place
"""
