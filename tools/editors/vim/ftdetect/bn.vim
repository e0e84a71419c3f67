autocmd BufRead,BufNewFile *.bn setfiletype bn
