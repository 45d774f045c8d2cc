; Integer loops as a multiboot kernel, for comparing interpreters: nasm -f bin loops.asm -o loops.bin
; Writes a letter to COM1 when each loop begins, and "." at the end: a registers only, b memory (sieve),
; c calls (Fibonacci), d a bitwise CRC, e string copies.

bits 32
org 0x100000

header:
    dd 0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000)
    dd header, header, image_end, image_end + 0x20000, start

start:
    mov esp, stack
    mov dx, 0x3FB
    mov al, 3
    out dx, al
    mov al, 'a'
    call put
    call registers
    mov al, 'b'
    call put
    call sieve
    mov al, 'c'
    call put
    mov eax, 27
    call fibonacci
    mov al, 'd'
    call put
    call crc
    mov al, 'e'
    call put
    call copies
    mov al, '.'
    call put
.end:
    hlt
    jmp .end

put:
    mov dx, 0x3F8
    out dx, al
    ret

registers:
    mov ecx, 4000000
    mov eax, 1
    mov ebx, 0x12345678
.next:
    add eax, ebx
    rol ebx, 5
    xor ebx, eax
    lea edx, [eax + ebx * 2]
    sub eax, edx
    imul edx, eax
    test edx, 4
    jz .even
    add ebx, edx
.even:
    dec ecx
    jnz .next
    ret

sieve:
    mov ebp, 12
.again:
    mov edi, field
    mov ecx, 65536 / 4
    mov eax, 0x01010101
    rep stosd
    mov ebx, 2
.number:
    cmp byte [field + ebx], 0
    je .composite
    mov esi, ebx
    add esi, ebx
.strike:
    cmp esi, 65536
    jae .composite
    mov byte [field + esi], 0
    add esi, ebx
    jmp .strike
.composite:
    inc ebx
    cmp ebx, 65536
    jb .number
    dec ebp
    jnz .again
    ret

fibonacci:
    cmp eax, 2
    jb .done
    push ebx
    push eax
    dec eax
    call fibonacci
    mov ebx, eax
    pop eax
    sub eax, 2
    call fibonacci
    add eax, ebx
    pop ebx
.done:
    ret

crc:
    mov ebp, 8
.again:
    mov esi, field
    mov ecx, 65536
    mov eax, 0xFFFFFFFF
.byte:
    movzx edx, byte [esi]
    inc esi
    xor eax, edx
    mov ebx, 8
.bit:
    shr eax, 1
    jnc .clear
    xor eax, 0xEDB88320
.clear:
    dec ebx
    jnz .bit
    dec ecx
    jnz .byte
    dec ebp
    jnz .again
    ret

copies:
    mov ebp, 2000
.again:
    mov esi, field
    mov edi, field + 32768
    mov ecx, 32768 / 4
    rep movsd
    dec ebp
    jnz .again
    ret

align 16
image_end:
field equ image_end
stack equ image_end + 0x1FFF0
