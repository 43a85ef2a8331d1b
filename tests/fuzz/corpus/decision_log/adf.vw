shared | s_1 user=Tom s:2
0:1.0:0.5 | a_1
 |ns:2 b c:3

 | b
0:0.0:0.5 'tag| c

 | d
 | e

