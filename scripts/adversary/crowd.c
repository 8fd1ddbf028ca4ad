/* A program with COUNT probes that waits until it is killed; with -DFLOOD it fires one of them for ever. */
#include <stdio.h>
#include <sys/sdt.h>
#include <unistd.h>

#define TEXT(x) TEXT_(x)
#define TEXT_(x) #x

int main(void) {
    __asm__ volatile(".rept " TEXT(COUNT) "\n990: nop\n.pushsection .note.stapsdt,\"?\",\"note\"\n.balign 4\n"
                     ".4byte 992f-991f, 994f-993f, 3\n991: .asciz \"stapsdt\"\n992: .balign 4\n"
                     "993: .8byte 990b, _.stapsdt.base, 0\n.asciz \"target\"\n.asciz \"crowd\"\n.asciz \"\"\n"
                     "994: .balign 4\n.popsection\n.endr\n");
    STAP_PROBE(target, crowd);
    puts("running");
    fflush(stdout);
#ifdef FLOOD
    for (long n = 0;; n++) STAP_PROBE1(target, flood, n);
#endif
    for (;;) pause();
}
