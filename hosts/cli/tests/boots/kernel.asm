; A multiboot kernel that says on the screen and the first serial line what its loader told it, and obeys keys:
; a letter is named, Escape ends the machine through isa-debug-exit.
;
; nasm -f bin; the header says where it goes ("a.out kludge").
bits 32
org 0x100000

MAGIC equ 0x1BADB002
FLAGS equ 0x00010003                    ; pages, memory sizes, addresses in the header

header:
        dd MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd header, header, end, end + 4096, entry

entry:
        mov esp, end + 4096
        cld
        push eax
        push ebx
        mov edi, 0xB8000
        mov ecx, 80 * 25
        mov eax, 0x0720
        rep stosw
        pop ebx
        pop eax
        mov esi, wrong
        cmp eax, 0x2BADB002
        jne .say
        mov esi, right
.say:   call print

        test byte [ebx], 1
        jz .no_memory
        mov esi, memory
        call print
        mov eax, [ebx + 8]
        call number
        call line
.no_memory:
        test byte [ebx], 4
        jz .no_command
        mov esi, command
        call print
        mov esi, [ebx + 16]
        call print
        call line
.no_command:
        test byte [ebx], 8
        jz .no_modules
        mov ecx, [ebx + 20]
        mov edx, [ebx + 24]
.module:
        test ecx, ecx
        jz .no_modules
        push ecx
        push edx
        mov esi, module
        call print
        mov edx, [esp]
        mov esi, [edx + 8]
        call print
        mov esi, holds
        call print
        mov edx, [esp]
        mov esi, [edx]
        mov ecx, [edx + 4]
        sub ecx, esi
.byte:  jecxz .shown
        lodsb
        push ecx
        call put
        pop ecx
        dec ecx
        jmp .byte
.shown: call line
        pop edx
        pop ecx
        add edx, 16
        dec ecx
        jmp .module
.no_modules:
        test byte [ebx], 64
        jz .no_map
        mov esi, map
        call print
        xor eax, eax
        mov esi, [ebx + 48]
        mov edi, [ebx + 44]
        add edi, esi
.entry: cmp esi, edi
        jae .mapped
        ; Type 1 is memory: what there is under 4 GiB of it is summed.
        cmp dword [esi + 20], 1
        jne .skip
        add eax, [esi + 12]
.skip:  add esi, [esi]
        add esi, 4
        jmp .entry
.mapped:
        shr eax, 10
        call number
        call line
.no_map:
        mov esi, ready
        call print

.key:   in al, 0x64
        test al, 1
        jz .key
        in al, 0x60
        test al, 0x80
        jnz .key
        movzx eax, al
        push eax
        mov esi, code
        call print
        mov eax, [esp]
        call number
        call line
        pop eax
        cmp al, 1
        jne .key
        mov al, 0x2A
        out 0xF4, al
        cli
        hlt

; Prints EAX in decimal.
number: push ebx
        push ecx
        push edx
        mov ebx, 10
        xor ecx, ecx
.divide:
        xor edx, edx
        div ebx
        push edx
        inc ecx
        test eax, eax
        jnz .divide
.digit: pop eax
        add al, '0'
        push ecx
        call put
        pop ecx
        loop .digit
        pop edx
        pop ecx
        pop ebx
        ret

line:   mov al, 10
        jmp put

; Prints the string at ESI.
print:  lodsb
        test al, al
        jz .end
        call put
        jmp print
.end:   ret

; Prints AL on the serial line and the screen.
put:    push eax
        push edx
        push edi
        mov ah, al
        mov dx, 0x3FD
.wait:  in al, dx
        test al, 0x20
        jz .wait
        mov dx, 0x3F8
        mov al, ah
        out dx, al
        cmp al, 10
        je .next_row
        mov edi, [column]
        cmp edi, 80
        jae .done
        imul edx, [row], 80
        add edi, edx
        mov byte [0xB8000 + edi * 2], al
        inc dword [column]
        jmp .done
.next_row:
        mov dword [column], 0
        inc dword [row]
        cmp dword [row], 25
        jb .done
        mov dword [row], 0
.done:  pop edi
        pop edx
        pop eax
        ret

row:     dd 0
column:  dd 0
right:   db "a multiboot loader", 10, 0
wrong:   db "no multiboot loader", 10, 0
memory:  db "KiB over 1 MiB: ", 0
command: db "command line: ", 0
module:  db "module '", 0
holds:   db "' holds ", 0
map:     db "KiB in the map: ", 0
ready:   db "ready", 10, 0
code:    db "key ", 0
end:
