/* What a client that puts a file into the import folder, to have it imported from there, calls the folder that it makes for it: this and
 * the number of its process. The next start of the server removes such a folder when the process is gone. */
#ifndef FH_SERVER_IMPORTS_H
#define FH_SERVER_IMPORTS_H

#define FH_IMPORT_STAGED ".staged-"

#endif
