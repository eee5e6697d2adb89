from study.bugs import main

main()
