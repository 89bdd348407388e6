#include "shim/curl/version.h"

#include <stdint.h>
#include <string.h>

/* An object's tables, as far as they are there. */
struct tables {
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Half) * versions;
    const ElfW(Verneed) * needs;
    unsigned need_count;
    const uint32_t *hash;
};

static bool read_tables(const struct link_map *map, struct tables *tables) {
    memset(tables, 0, sizeof *tables);
    for (const ElfW(Dyn) *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++) {
        /* glibc relocates these addresses in place ... */
        const void *at = (const void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_SYMTAB)
            tables->symbols = at;
        else if (entry->d_tag == DT_STRTAB)
            tables->strings = at;
        else if (entry->d_tag == DT_VERSYM)
            tables->versions = at;
        else if (entry->d_tag == DT_GNU_HASH)
            tables->hash = at;
        else if (entry->d_tag == DT_VERNEED) /* ... but not this one */
            tables->needs = (const void *)(map->l_addr + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_VERNEEDNUM)
            tables->need_count = (unsigned)entry->d_un.d_val;
    }
    return tables->symbols && tables->strings && tables->versions && tables->hash &&
           tables->needs && (uintptr_t)tables->symbols > map->l_addr;
}

/* The name of the needed version with NUMBER. */
static const char *name_of(const struct tables *tables, unsigned number) {
    const ElfW(Verneed) *need = tables->needs;
    for (unsigned i = 0; i < tables->need_count; i++) {
        const char *at = (const char *)need + need->vn_aux;
        for (unsigned k = 0; k < need->vn_cnt; k++) {
            const ElfW(Vernaux) *aux = (const void *)at;
            if (aux->vna_other == number)
                return tables->strings + aux->vna_name;
            at += aux->vna_next;
        }
        need = (const void *)((const char *)need + need->vn_next);
    }
    return NULL;
}

const char *version_wanted(const struct link_map *map) {
    struct tables tables;
    if (!read_tables(map, &tables))
        return NULL;
    /* what an object only refers to stands before the part that its hash table is about, which
     * begins with the symbol that the table's second word names */
    for (uint32_t i = 1; i < tables.hash[1]; i++) {
        const ElfW(Sym) *symbol = &tables.symbols[i];
        unsigned number = tables.versions[i] & 0x7fffu;
        if (symbol->st_shndx == SHN_UNDEF && number > VER_NDX_GLOBAL &&
            strncmp(tables.strings + symbol->st_name, "curl_", 5) == 0)
            return name_of(&tables, number);
    }
    return NULL;
}

bool version_is_given(const struct link_map *map) {
    for (const ElfW(Dyn) *entry = map->l_ld; entry && entry->d_tag != DT_NULL; entry++)
        if (entry->d_tag == DT_VERDEF)
            return true;
    return false;
}
