; A boot sector, and what it loads behind itself, that finds out what a PC can do, and says it on the first serial
; line, on port E9 and on the screen: a line each, with what is expected of a PC that can in parentheses.
; .github/COMPARISON.md has what it found elsewhere.
;
;   nasm -f bin -o probe.img probe.asm && truncate -s 1474560 probe.img
;   qemu-system-x86_64 -cpu max -fda probe.img -serial stdio -display none

org 0x7C00
bits 16
start:  xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, 0x7C00
        cld
        mov [drive], dl
        mov cx, 2                       ; sectors 2.. of track 0, one by one
        mov bx, 0x7E00
.l:     mov ax, 0x0201
        mov dh, 0
        mov dl, [drive]
        int 0x13
        add bx, 512
        inc cx
        cmp cx, 14
        jb .l
        jmp main
drive:  db 0
        times 510-($-$$) db 0
        dw 0xAA55

; Says AL.
putc:
        push ax
        push bx
        push dx
        push ax
        out 0xE9, al
        mov dx, 0x3FD
        mov bx, 20000
.w:     in al, dx
        test al, 0x20
        jnz .o
        dec bx
        jnz .w
.o:     pop ax
        mov dx, 0x3F8
        out dx, al
        mov ah, 0x0E
        mov bx, 7
        int 0x10
        pop dx
        pop bx
        pop ax
        ret
; Says the string at SI.
puts:
        lodsb
        test al, al
        jz .e
        call putc
        jmp puts
.e:     ret
; Says EAX.
hex32:
        push cx
        mov cx, 8
.l:     rol eax, 4
        push ax
        and al, 15
        add al, '0'
        cmp al, '9'
        jbe .p
        add al, 7
.p:     call putc
        pop ax
        dec cx
        jnz .l
        mov al, ' '
        call putc
        pop cx
        ret
%macro say 1
        mov si, %%t
        call puts
        jmp %%e
%%t: db %1,0
%%e:
%endmacro
%macro saycount 2
        say %1
        mov eax, [%2]
        call hex32
        call nl
%endmacro
nl:     mov al, 13
        call putc
        mov al, 10
        jmp putc

main:
        mov dx, 0x3FB
        mov al, 3
        out dx, al
        call nl
        say "cpuid max "
        xor eax, eax
        cpuid
        call hex32
        say " 1: "
        mov eax, 1
        cpuid
        push ecx
        push edx
        call hex32
        say "edx "
        pop eax
        call hex32
        say "ecx "
        pop eax
        mov [ecx1], eax
        call hex32
        mov eax, 0x80000000
        cpuid
        cmp eax, 0x80000001
        jb .noext
        cmp eax, 0x80001000
        ja .noext
        mov eax, 0x80000001
        cpuid
        mov [edx8], edx
.noext: saycount "ext edx ", edx8

; Whether the x87 keeps 64 bits of a sum, and of a logarithm.
        fninit
        fld1
        fld dword [eps]
        faddp
        fld1
        fsubp
        fstp dword [r32]
        saycount "(1+2^-63)-1 in the x87 (20000000): ", r32
        fld1
        fild word [ten]
        fyl2x
        fstp tword [r80]
        saycount "log2(10), its low bits (CD1B8AFE): ", r80

; Single steps and breakpoints.
        cli
        mov word [4], int1
        mov word [6], 0
        pushf
        pop ax
        or ax, 0x100
        push ax
        popf
        nop
        nop
        pushf
        pop ax
        and ax, 0xFEFF
        push ax
        popf
        saycount "traps by TF (7): ", traps
        mov dword [traps], 0
        mov eax, bphere
        mov dr0, eax
        mov eax, 0x402
        mov dr7, eax
        nop
bphere: nop
        mov eax, watched
        mov dr0, eax
        mov eax, 0xD0402
        mov dr7, eax
        mov dword [watched], 1
        nop
        xor eax, eax
        mov dr7, eax
        saycount "hits of DR0, code and data (2): ", traps
        sti

; The sound card's DSP is reset, and says AA.
        mov dx, 0x226
        mov al, 1
        out dx, al
        mov cx, 1000
.s:     in al, 0x80
        loop .s
        xor al, al
        out dx, al
        mov cx, 10000
.s2:    in al, 0x80
        mov dx, 0x22E
        in al, dx
        test al, 0x80
        jnz .s3
        loop .s2
.s3:    mov dx, 0x22A
        in al, dx
        mov [sb], al
        saycount "SB DSP (AA): ", sb

; Who made the display adapter.
        mov ax, 0x4F00
        mov di, 0x9000
        int 0x10
        mov [vbe], ax
        saycount "VBE (4F): ", vbe
        lds si, [0x9006]
        mov cx, 30
.v:     lodsb
        test al, al
        jz .v2
        call putc
        loop .v
.v2:    xor ax, ax
        mov ds, ax
        call nl
        say "PCI:"
        xor ebx, ebx
.p:     mov eax, 0x80000000
        or eax, ebx
        mov dx, 0xCF8
        out dx, eax
        mov dx, 0xCFC
        in eax, dx
        cmp eax, -1
        je .pn
        test eax, eax
        jz .pn
        push eax
        mov al, ' '
        call putc
        pop eax
        rol eax, 16
        call hex32
.pn:    add ebx, 0x100
        cmp ebx, 0x10000
        jb .p
        call nl

; Protected mode: a segment's limit, in a loop that runs long enough to be recompiled.
        cli
        mov [sp16], sp
        lgdt [gdtr]
        lidt [idtr]
        mov eax, cr0
        or al, 1
        mov cr0, eax
        jmp 8:pm
bits 32
pm:     mov ax, 0x10
        mov ds, ax
        mov ss, ax
        mov es, ax
        mov esp, 0x7000
        mov dword [back], l1
        mov ax, 0x18
        mov es, ax
        mov ecx, 3000000
        xor ebx, ebx
.h:     cmp ecx, 2
        ja .k
        mov ebx, 0x1000
.k:     add edx, [es:ebx]
        inc dword [reads]
        dec ecx
        jnz .h
        jmp l2
l1:     inc dword [limits]
l2:     mov ax, 0x10
        mov es, ax
        mov ds, ax

; Tasks: by a far jump, and through a gate.
        mov dword [back], l3
        mov ax, 0x28
        ltr ax
        mov dword [tss2+0x20], task0
        mov dword [tss2+0x24], 2
        mov dword [tss2+0x38], 0x6800
        mov dword [tss2+0x4C], 8
        mov dword [tss2+0x48], 0x10
        mov dword [tss2+0x50], 0x10
        mov dword [tss2+0x54], 0x10
        mov dword [tss2+0x58], 0x10
        mov dword [tss2+0x5C], 0x10
        jmp 0x30:0
        inc dword [tasks]
        mov dword [tss2+0x20], gtask
        mov dword [tss2+0x24], 2
        mov dword [tss2+0x38], 0x6800

l3:     mov ax, 0x10
        mov es, ax
        mov ds, ax
        mov dword [back], l4
        int 0x40
        inc dword [gates]
l4:     mov ax, 0x10
        mov es, ax
        mov ds, ax
        mov esp, 0x7000
        pushfd
        and dword [esp], ~0x4000
        popfd
        mov dword [back], l5
        test dword [ecx1], 1<<28
        jz l5
        clts
        mov eax, cr4
        or eax, 0x40600
        mov cr4, eax
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        vaddps ymm0, ymm1, ymm2
        inc dword [avx]
        mov eax, 0xE7
        xsetbv
        vaddps zmm0, zmm1, zmm2
        inc dword [avx512]
l5:     mov ax, 0x10
        mov es, ax
        mov ds, ax

; Long mode, where CPUID has it.
        mov esp, 0x7000
        mov dword [back], l6
        test dword [edx8], 1<<29
        jz l6
        mov edi, 0x10000
        mov ecx, 0x3000/4
        xor eax, eax
        rep stosd
        mov dword [0x10000], 0x11003
        mov dword [0x11000], 0x12003
        mov dword [0x12000], 0x83
        mov eax, cr4
        or al, 0x20
        mov cr4, eax
        mov eax, 0x10000
        mov cr3, eax
        mov ecx, 0xC0000080
        rdmsr
        or ah, 1
        wrmsr
        mov eax, cr0
        or eax, 0x80000000
        mov cr0, eax
        jmp 0x40:lmode
bits 64
lmode:  mov rax, 0x123456789ABCDEF0
        shr rax, 32
        cmp eax, 0x12345678
        jne .no
        inc dword [longm]
.no:    jmp far dword [rel .ret]
.ret:   dd compat
        dw 8
bits 32
compat: mov eax, cr0
        and eax, 0x7FFFFFFF
        mov cr0, eax
        mov ecx, 0xC0000080
        rdmsr
        and ah, 0xFE
        wrmsr
l6:     mov ax, 0x10
        mov es, ax
        mov ds, ax
        mov ss, ax
        jmp 0x20:back16
bits 16
back16: mov ax, 0x38
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov eax, cr0
        and al, 0xFE
        mov cr0, eax
        jmp 0:real
real:   xor ax, ax
        mov ds, ax
        mov es, ax
        mov ss, ax
        mov sp, [sp16]
        lidt [ridt]
        sti
        saycount "reads through a limit (2DC6BE, then a fault): ", reads
        saycount "limit faults in a hot loop (1): ", limits
        saycount "task by JMP (1): ", tasks
        saycount "task by gate (1): ", gates
        saycount "task ran (2): ", ran
        saycount "AVX (1): ", avx
        saycount "AVX-512 (1): ", avx512
        saycount "long mode (1): ", longm
        say "DONE"
        call nl
.h:     hlt
        jmp .h

; A trap. There is no RF in 16 bits: a breakpoint is taken away.
int1:   inc dword [cs:traps]
        push eax
        mov eax, dr7
        test eax, 3
        jz .n
        xor eax, eax
        mov dr7, eax
.n:     xor eax, eax
        mov dr6, eax
        pop eax
        iret

bits 32
; A fault: where the test in hand goes on.
fault:  mov ax, 0x10
        mov ds, ax
        mov esp, 0x7000
        jmp [back]
task0:  inc dword [ran]
        jmp 0x28:0
        hlt
gtask:  inc dword [ran]
        iretd
        hlt

        align 8
idt:    times 32 dw (fault-$$)+0x7C00, 8, 0x8E00, 0
        times 32*8 db 0
        dw 0, 0x30, 0x8500, 0
idtr:   dw $-idt-1
        dd idt
ridt:   dw 0x3FF
        dd 0
        align 8
gdt:    dq 0
        dq 0x00CF9A000000FFFF           ; 08
        dq 0x00CF92000000FFFF           ; 10
        dq 0x0040920000000FFF           ; 18: limit FFF
        dq 0x00009A000000FFFF           ; 20: 16-bit code
        dw 0x67, (tss1-$$)+0x7C00, 0x8900, 0 ; 28
        dw 0x67, (tss2-$$)+0x7C00, 0x8900, 0 ; 30
        dq 0x000092000000FFFF           ; 38
        dq 0x00AF9A000000FFFF           ; 40: 64-bit
gdtr:   dw $-gdt-1
        dd gdt
        align 4
ecx1:   dd 0
edx8:   dd 0
r32:    dd 0
r80:    dd 0, 0, 0
traps:  dd 0
watched:
        dd 0
sb:     dd 0
vbe:    dd 0
back:   dd 0
reads:  dd 0
limits: dd 0
tasks:  dd 0
gates:  dd 0
ran:    dd 0
avx:    dd 0
avx512: dd 0
longm:  dd 0
sp16:   dw 0
ten:    dw 10
eps:    dd 0x20000000                   ; 2^-63
tss1:   times 104 db 0
tss2:   times 104 db 0
        times 14*512-($-$$) db 0
