; A BIOS that walks through protected mode and says what happened: one line for each test, with the exception,
; its error code, where it came, CR2 for page faults, and registers. It is run by our machine and by others.
;
; Addresses are linear; the ROM lies at F0000h. RAM under it is laid out by hand.
        org     0xF0000

GDT     equ     0x1000
IDT     equ     0x2000
TSS     equ     0x3000          ; the task that runs
TSS2    equ     0x3200          ; one to switch to
TSS16   equ     0x3300          ; a 16-bit one
LDT     equ     0x3380
BITMAP  equ     TSS + 0x88      ; 128 bytes: ports 0 to 3FF; 32 bytes under it the interrupts of VME
STACK   equ     0x8000
STACK3  equ     0x9000          ; of privilege 3
STACK2  equ     0xA000          ; of the second task
VARS    equ     0xB000
V86     equ     0xC000          ; code of virtual-8086 mode
DATA    equ     0x20000         ; 64 KiB of zeros
DIR     equ     0x40000         ; page directory
TABLE   equ     0x41000         ; page table of the first 4 MiB
PTRS    equ     0x43000         ; page-directory pointers (PAE)
DIR8    equ     0x44000
TABLE8  equ     0x45000

save_esp  equ   VARS
cont      equ   VARS + 4
base      equ   VARS + 8
f_vector  equ   VARS + 12
f_error   equ   VARS + 16
f_eip     equ   VARS + 20
f_cs      equ   VARS + 24
f_flags   equ   VARS + 28
regs      equ   VARS + 32       ; PUSHA image
f_esp     equ   VARS + 64
f_ss      equ   VARS + 72

; Selectors.
CODE    equ     0x08
FLAT    equ     0x10
CODE3   equ     0x18 + 3
DATA3   equ     0x20 + 3
TASK    equ     0x28
TASK2   equ     0x30
TASKS   equ     0x38            ; too short
TASK16  equ     0x40
LOCAL   equ     0x48
SMALL   equ     0x50            ; data, limit FFFh at DATA
RDONLY  equ     0x58
ABSENT  equ     0x60            ; data, not present
CABSENT equ     0x68            ; code, not present
XONLY   equ     0x70            ; code, not readable
CONF    equ     0x78            ; conforming code
DOWN    equ     0x80            ; expand-down, limit FFFh, 32 bits
DOWN16  equ     0x88            ; expand-down, limit FFFh, 16 bits
GATE    equ     0x90            ; call gate to CODE, DPL 3, two parameters
GATE0   equ     0x98            ; call gate, DPL 0
GATEA   equ     0xA0            ; call gate, not present
GATEN   equ     0xA8            ; call gate to a null selector
GATED   equ     0xB0            ; call gate to a data segment
TGATE   equ     0xB8            ; task gate to TASK2, DPL 3
CODE16  equ     0xC0
TASKA   equ     0xC8            ; task, not present
GATE16  equ     0xD0            ; 16-bit call gate
DATA16  equ     0xD8
CONF3   equ     0xE0            ; conforming code of privilege 3
SMALL3  equ     0xE8 + 3        ; as SMALL, of privilege 3
GLIMIT  equ     0xF0

        bits    16
start:  cli
        xor     ax, ax
        mov     ss, ax
        mov     sp, STACK
        o32 lgdt [cs:gdtr - 0xF0000]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword CODE:flat

gdtr:   dw      GLIMIT - 1
        dd      gdt

        bits    32
%macro descriptor 4                ; base, limit (20 bits), access, flags
        dw      (%2) & 0xFFFF, (%1) & 0xFFFF
        db      ((%1) >> 16) & 0xFF, %3, (%4) << 4 | ((%2) >> 16) & 15, ((%1) >> 24) & 0xFF
%endmacro
%macro gate 4-5 0x000F          ; selector, offset, access, parameters, high word of the offset
        dw      ((%2) - $$) & 0xFFFF, %1
        db      %4, %3
        dw      %5
%endmacro

gdt:    dq      0
        descriptor 0, 0xFFFFF, 0x9A, 12
        descriptor 0, 0xFFFFF, 0x92, 12
        descriptor 0, 0xFFFFF, 0xFA, 12
        descriptor 0, 0xFFFFF, 0xF2, 12
        descriptor TSS, 0x88 + 0x80, 0x89, 0
        descriptor TSS2, 0x67, 0x89, 0
        descriptor TSS2, 0x66, 0x89, 0
        descriptor TSS16, 0x2B, 0x81, 0
        descriptor LDT, 0x1F, 0x82, 0
        descriptor DATA, 0xFFF, 0x92, 4
        descriptor DATA, 0xFFF, 0x90, 4
        descriptor DATA, 0xFFF, 0x12, 4
        descriptor 0, 0xFFFFF, 0x1A, 12
        descriptor 0, 0xFFFFF, 0x98, 12
        descriptor 0, 0xFFFFF, 0x9E, 12
        descriptor DATA, 0xFFF, 0x96, 4
        descriptor DATA, 0xFFF, 0x96, 0
        gate    CODE, through_gate, 0xEC, 2
        gate    CODE, through_gate, 0x8C, 0
        gate    CODE, through_gate, 0x6C, 0
        gate    0, through_gate, 0xEC, 0
        gate    FLAT, through_gate, 0xEC, 0
        gate    TASK2, $$, 0xE5, 0
        descriptor 0xF0000, 0xFFFF, 0x9A, 0
        descriptor TSS2, 0x67, 0x09, 0
        gate    CODE16, gate16_target, 0xE4, 0, 0
        descriptor 0, 0xFFFF, 0x92, 0
        descriptor 0, 0xFFFFF, 0xFE, 12
        descriptor DATA, 0xFFF, 0xF2, 4

; ---------------------------------------------------------------- output
putc:   push    edx                     ; AL
        push    eax
        out     0xE9, al
        mov     edx, 0x3FD
.wait:  in      al, dx
        test    al, 0x20
        jz      .wait
        pop     eax
        mov     edx, 0x3F8
        out     dx, al
        pop     edx
        ret
puts:   push    eax                     ; ESI
.next:  mov     al, [cs:esi]
        inc     esi
        test    al, al
        jz      .done
        call    putc
        jmp     .next
.done:  pop     eax
        ret
hex:    push    ecx                     ; EAX, CL digits
        push    eax
        movzx   ecx, cl
        push    ecx
.align: cmp     ecx, 8
        jae     .go
        shl     eax, 4
        inc     ecx
        jmp     .align
.go:    pop     ecx
.digit: rol     eax, 4
        push    eax
        and     al, 15
        add     al, '0'
        cmp     al, '9'
        jbe     .put
        add     al, 7
.put:   call    putc
        pop     eax
        loop    .digit
        pop     eax
        pop     ecx
        ret
%macro say 1
        mov     esi, %%text
        call    puts
        jmp     %%over
%%text: db      %1, 0
%%over:
%endmacro
%macro number 2                         ; memory, digits
        mov     eax, [%1]
        mov     cl, %2
        call    hex
%endmacro

; ---------------------------------------------------------------- exceptions
%assign n 0
%rep 32
vector %+ n:
%if n == 8 || (n >= 10 && n <= 14) || n == 17
%else
        push    dword 0xEEEE
%endif
        push    dword n
        jmp     caught
%assign n n + 1
%endrep
vector48: push  dword 0xEEEE            ; the way out of other privileges: INT 30h
        push    dword 48
        jmp     caught

; Frame: vector, error code, EIP, CS, EFLAGS[, ESP, SS, ES, DS, FS, GS].
caught: pushad
        mov     ax, FLAT
        mov     ds, ax
        mov     es, ax
        mov     esi, esp
        mov     edi, regs
        mov     ecx, 8
        cld
        ss rep movsd
        mov     edi, f_vector
        mov     ecx, 5
        ss rep movsd
        mov     eax, [f_flags]
        mov     [f_esp], esi
        mov     dword [f_ss], 0
        test    eax, 0x20000
        jnz     .outer
        test    byte [f_cs], 3
        jz      .inner
.outer: mov     eax, [ss:esi]
        mov     [f_esp], eax
        mov     eax, [ss:esi + 4]
        mov     [f_ss], eax
.inner: xor     eax, eax
        mov     fs, ax
        mov     gs, ax
        mov     ax, FLAT
        mov     ss, ax
        mov     esp, [save_esp]
        clts
        push    dword 2
        popfd
        cmp     dword [f_vector], 48
        je      .finished
        say     " v="
        number  f_vector, 2
        cmp     dword [f_error], 0xEEEE
        je      .plain
        say     " e="
        number  f_error, 4
.plain: say     " ip="
        mov     eax, [f_eip]
        sub     eax, [base]
        mov     cl, 8
        call    hex
        cmp     dword [f_vector], 14
        jne     .frame
        say     " cr2="
        mov     eax, cr2
        mov     cl, 8
        call    hex
.frame: cmp     dword [f_vector], 1
        jne     .where
        say     " dr6="
        mov     eax, dr6
        mov     cl, 8
        call    hex
        mov     eax, 0xFFFF0FF0
        mov     dr6, eax
        xor     eax, eax
        mov     dr7, eax
.where: say     " cs="
        number  f_cs, 4
        say     " ss="
        number  f_ss, 4
        jmp     .regs
.finished:
        say     " done cs="
        number  f_cs, 4
.regs:  call    registers
        mov     esp, [save_esp]
        jmp     [cont]

registers:
        say     " sp="
        mov     eax, [f_esp]
        mov     cl, 8
        call    hex
        say     " ax="
        number  regs + 28, 8
        say     " cx="
        number  regs + 24, 8
        say     " dx="
        number  regs + 20, 8
        say     " si="
        number  regs + 4, 8
        say     " di="
        number  regs, 8
        say     " fl="
        mov     eax, [f_flags]
        and     eax, 0x377C5            ; without OF AF: some cases leave them open
        mov     cl, 5
        call    hex
        mov     al, 10
        jmp     putc

; ---------------------------------------------------------------- the shape of a test case
%macro case 1
%push case
        mov     esi, %$name
        call    puts
        mov     [save_esp], esp
        mov     dword [cont], %$end
        mov     dword [base], %$body
        xor     eax, eax
        xor     ecx, ecx
        xor     edx, edx
        xor     esi, esi
        xor     edi, edi
        jmp     %$body
%$name: db      %1, 0
%$body:
%endmacro
; Falls through: nothing happened.
%macro endcase 0
        int     48
%$end:
%pop
%endmacro
; The rest of the test runs with privilege 3.
%macro user 0
        push    dword DATA3
        push    dword STACK3
        push    dword 0x202
        push    dword CODE3
        push    dword %%there
        mov     ax, DATA3
        mov     ds, ax
        mov     es, ax
        xor     eax, eax
        mov     dword [base], %%there
        iretd
%%there:
%endmacro

flat:   mov     ax, FLAT
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, STACK
        ; The serial line, 115200 8N1.
        mov     dx, 0x3FB
        mov     al, 0x83
        out     dx, al
        mov     dx, 0x3F8
        mov     al, 1
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        mov     dx, 0x3FB
        mov     al, 3
        out     dx, al
        ; Tables to RAM.
        cld
        mov     esi, gdt
        mov     edi, GDT
        mov     ecx, GLIMIT / 4
        rep movsd
        mov     edi, IDT
        mov     ecx, 0x800 / 4
        xor     eax, eax
        rep stosd
        mov     edi, TSS
        mov     ecx, 0x400 / 4
        rep stosd
        mov     edi, DATA
        mov     ecx, 0x30000 / 4
        rep stosd
        call    set_idt
        call    set_tss
        lgdt    [ram_gdtr]
        lidt    [ram_idtr]
        mov     ax, TASK
        ltr     ax
        fninit
%include "segments.inc"
%include "tasks.inc"
%include "paging.inc"
%include "debug.inc"
%include "system.inc"
        say     "end"
        mov     al, 10
        call    putc
        mov     edx, 0x3FD
.empty: in      al, dx
        test    al, 0x40
        jz      .empty
        ; Bochs ends at this port, others at the other one.
        mov     edx, 0x8900
        mov     esi, .word
.off:   mov     al, [esi]
        out     dx, al
        inc     esi
        test    al, al
        jnz     .off
        mov     edx, 0xF4
        xor     eax, eax
        out     dx, al
        cli
        hlt
.word:  db      "Shutdown", 0

ram_gdtr: dw    GLIMIT - 1
        dd      GDT
ram_idtr: dw    49 * 8 - 1
        dd      IDT
no_idtr: dw     0
        dd      IDT
small_idtr: dw  14 * 8 - 1
        dd      IDT

set_idt:
        mov     edi, IDT
        mov     esi, .list
        mov     ecx, 32
.next:  lodsd
        stosw
        mov     word [edi], CODE
        mov     dword [edi + 2], 0x8E00
        shr     eax, 16
        mov     [edi + 4], ax
        add     edi, 6
        loop    .next
        mov     edi, IDT + 48 * 8
        mov     eax, vector48
        stosw
        mov     dword [edi], 0xEE000000 | CODE
        shr     eax, 16
        mov     [edi + 4], ax
        ret
.list:
%assign n 0
%rep 32
        dd      vector %+ n
%assign n n + 1
%endrep

set_tss:
        mov     dword [TSS + 4], STACK - 0x400
        mov     dword [TSS + 8], FLAT
        mov     word [TSS + 0x66], BITMAP - TSS
        mov     edi, BITMAP
        mov     ecx, 0x81
        mov     al, 0xFF
        rep stosb
        and     byte [BITMAP + 0x80 / 8], ~1      ; port 80h is allowed
        ret

; Where call gates lead: takes two parameters off the stack of the caller.
through_gate:
        mov     ax, [esp + 4]
        mov     edx, [esp + 8]
        mov     ecx, [esp + 12]
        int     48

; The rest of the ROM.
        bits    16
gate16_target:
        mov     bp, sp
        mov     ax, [bp]
        int     48
        bits    32
        times   0xFFF0 - ($ - $$) db 0xF4
        bits    16
        jmp     0xF000:start - 0xF0000
        times   0x10000 - ($ - $$) db 0
